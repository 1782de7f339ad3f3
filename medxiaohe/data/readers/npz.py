"""Images and labels in a NumPy archive, as MedMNIST has them: `train_images`, `train_labels`, `val_images`,
... (.npz).

    {reader: npz, path: pneumoniamnist.npz, options: {names: {0: "no", 1: "yes"}, ask: "Is there pneumonia?"}}
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from medxiaohe.data.formats import chat, files
from medxiaohe.data.formats.sandbox import decode
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.types import ImageRef, Message, Sample


def _tiny() -> bytes:
    import numpy as np

    out = io.BytesIO()
    np.savez(
        out,
        train_images=np.arange(2 * 6 * 5, dtype=np.uint8).reshape(2, 6, 5),
        train_labels=np.array([[0], [1]], np.uint8),
    )
    return out.getvalue()


APART = (".npz",)  # no file of a folder says anything about another
EXAMPLE = {"tiny.npz": _tiny}


def npz(
    path: Path,
    *,
    names: Mapping[int | str, str] | None = None,
    ask: str = "What is the class of this image?",
    images: str = "images",
    labels: str = "labels",
    license: str = "not stated",
) -> Iterator[Sample | DeadLetter]:
    """Read images and labels of a NumPy archive as questions.

    Args:
        path: an .npz file, or a folder of them.
        names: label -> its name; left out: the number is the answer.
        ask: the question.
        images: suffix of the arrays of images.
        labels: suffix of the arrays of labels.
        license: of all rows.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    name_of = {str(key): name for key, name in (names or {}).items()}

    def read(file: Path) -> Iterator[Sample | DeadLetter]:
        """Decode one archive in the sandbox.

        Yields:
            A Sample for each image, or why there is none: a label without a name.
        """
        for row in decode("medxiaohe.data.formats.decode_npz:rows", file, images=images, labels=labels):
            location = f"{row['split'] or file.stem}/{row['index']}"
            answers = [name_of.get(str(label), "" if name_of else str(label)) for label in row["label"]]
            if "" in answers:
                yield files.rejected(
                    location,
                    Rejected("row", f"the label {row['label']} has no name; there are {', '.join(name_of)}"),
                )
                continue
            answer = ", ".join(answers)
            yield Sample(
                id=location,
                messages=(Message("user", (ImageRef(row["image"]), ask)), Message("assistant", (answer,))),
                target=answer,
                choices=tuple(name_of.values()),
                source="npz",
                license=license,
                study_id=location,
                split=chat.SPLIT_NAMES.get(row["split"], ""),
            )

    yield from files.each(files.files(path, *APART), read, path)
