"""A Hugging Face data set: hub:ORG/NAME, or a local folder as the hub lays it out.

    {reader: hub, path: "hub:flaviagiammarino/vqa-rad", options: {revision: COMMIT}}

Rows are understood as those of chat_jsonl: a chat layout, or columns by their usual names, or by `columns`.
Class labels are their names. The licence is the one of the card (README.md) where a row states none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from medxiaohe import plugins
from medxiaohe.data.formats.records import Record
from medxiaohe.data.formats.rows import RowOptions, sample_of
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import DataError
from medxiaohe.models.hub import data_commit, unreachable
from medxiaohe.types import Sample

EXAMPLE = {
    "README.md": "---\nlicense: cc0-1.0\n---\n# Three words on what this is\n",
    "train.jsonl": (
        '{"id": "1", "messages": [{"role": "user", "content": "Which valve lies between the left chambers?"},'
        ' {"role": "assistant", "content": "The mitral valve."}]}\n'
    ),
}


def hub(
    path: Path,
    *,
    config: str | None = None,
    revision: str | None = None,
    columns: Mapping[str, Any] | None = None,
    images: str = "",
    meta: Sequence[str] = (),
    first_index: int = 0,
    bad_rows: Literal["stop", "skip"] = "stop",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    """Read a data set of the Hugging Face hub.

    Args:
        path: hub:ORG/NAME, or a local folder in hub layout.
        config: name of the configuration, where there are several.
        revision: a branch, a tag or a commit; None: the newest. The commit that is read is in the record of
            the stage.
        columns: which column is what (data/formats/columns.py); left out: usual names.
        images: folder of the images, from the file's folder.
        meta: columns to keep in `Sample.meta`.
        first_index: what a numeric answer counts from, 0 or 1.
        bad_rows: stop at the first bad row, or skip and list it.
        allow_outside: folders beside the data's own from which rows may name images.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    plugins.need("datasets", why="the reader hub")
    import datasets

    name = str(path).removeprefix("hub:")
    local = not str(path).startswith("hub:")
    if local and not path.is_dir():
        raise DataError(f"no folder {path}; a data set on the hub is written hub:ORG/NAME")
    if not local:
        revision = data_commit(name, revision)
    license = _card_license(path) if local else _hub_license(name, revision)
    options = RowOptions(columns, images, "", first_index, "", license, meta, allow_outside)
    within = options.confined(path if local else None)
    try:
        splits = datasets.load_dataset(name, config, revision=revision, streaming=True)
    except (*unreachable(), datasets.exceptions.DatasetsError) as error:
        raise _not_loaded(name, error) from error
    for split, rows in splits.items():
        labels = _class_labels(rows)
        for number, row in enumerate(_undecoded(rows), start=1):
            named = {key: _name(value, labels.get(key)) for key, value in row.items() if value is not None}
            if not named.get("split") and "split" not in (columns or {}):
                named["split"] = str(split)
            record = Record(f"{split}:{number}", {"source": Path(name).name, **named})
            sample = sample_of(record, path if local else Path(), options, within)
            if isinstance(sample, DeadLetter) and bad_rows == "stop":
                raise DataError(f"{name} {sample.where}: {sample.reason}")
            yield sample


def _undecoded(rows: Any) -> Any:
    """Keep images as the bytes they are stored as."""
    return rows.decode(False) if rows.features else rows


def _class_labels(rows: Any) -> dict[str, list[str]]:
    """Column -> names of its classes."""
    features = rows.features or {}
    return {key: list(feature.names) for key, feature in features.items() if hasattr(feature, "int2str")}


def _name(value: Any, names: list[str] | None) -> Any:
    """Return the name of a class label; any other value unchanged."""
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else value


def _card_license(folder: Path) -> str:
    card = folder / "README.md"
    head = (
        card.read_text(encoding="utf-8").partition("---\n")[2].partition("\n---")[0] if card.is_file() else ""
    )
    match = re.search(r"^license:\s*(\S.*)$", head, re.MULTILINE)
    return match[1].strip() if match else ""


def _hub_license(name: str, revision: str | None) -> str:
    import huggingface_hub

    try:
        card = huggingface_hub.HfApi().dataset_info(name, revision=revision, timeout=30).card_data
    except unreachable() as error:
        raise _not_loaded(name, error) from error
    stated = card.get("license", "") if card else ""
    return ", ".join(stated) if isinstance(stated, list) else str(stated or "")


def _not_loaded(name: str, error: Exception) -> DataError:
    return DataError(f"cannot load the data set {name}: {' '.join(str(error).split())[:300]}")
