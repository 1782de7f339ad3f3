"""A Hugging Face data set in the chat layout: hub:ORG/NAME, or a local folder as the hub lays it out.

The columns are those of data/formats/chat.py. The licence is the one of the card (README.md) where a row
states none.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io, plugins
from medxiaohe.data.formats import chat
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import DataError
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
    bad_rows: Literal["stop", "skip"] = "stop",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    """`revision` pins a hub data set to a commit: without it the result depends on the day. Rows of the hub
    hold their images; `allow_outside` names folders of this machine that they may name instead."""
    plugins.need("datasets", why="the reader hub")
    import datasets

    name = str(path).removeprefix("hub:")
    local = not str(path).startswith("hub:")
    if local and not path.is_dir():
        raise DataError(f"no folder {path}; a data set on the hub is written hub:ORG/NAME")
    within = io.confined(path if local else None, allow_outside)
    known = {
        "license": _card_license(path) if local else _hub_license(name, revision),
        "source": Path(name).name,
    }
    try:
        splits = datasets.load_dataset(name, config, revision=revision, streaming=True)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"cannot load the data set {name}: {' '.join(str(error).split())[:300]}") from error
    for split, rows in splits.items():
        for number, row in enumerate(_undecoded(rows), start=1):
            where = f"{split}:{number}"
            try:
                yield chat.sample(
                    {**known, "split": str(split), **_given(row)}, path if local else Path(), where, within
                )
            except DataError as error:
                if bad_rows == "stop":
                    raise DataError(f"{name} {where}: {error}") from error
                yield DeadLetter(where, str(error))


def _undecoded(rows: Any) -> Any:
    """Images stay the bytes they are stored as."""
    return rows.decode(False) if rows.features else rows


def _given(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}


def _card_license(folder: Path) -> str:
    card = folder / "README.md"
    head = (
        card.read_text(encoding="utf-8").partition("---\n")[2].partition("\n---")[0] if card.is_file() else ""
    )
    found = re.search(r"^license:\s*(\S.*)$", head, re.MULTILINE)
    return found[1].strip() if found else ""


def _hub_license(name: str, revision: str | None) -> str:
    import huggingface_hub

    card = huggingface_hub.HfApi().dataset_info(name, revision=revision).card_data
    said = card.get("license", "") if card else ""
    return ", ".join(said) if isinstance(said, list) else str(said or "")
