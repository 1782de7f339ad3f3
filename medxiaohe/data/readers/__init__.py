"""One reader a file: `def NAME(path: Path, **options) -> Iterator[Sample | DeadLetter]`, and its EXAMPLE.

EXAMPLE is file name -> content: text, bytes, or a function that returns bytes (where the format needs a
package to write it). A row that cannot be used, in a file that can, is a DeadLetter: it is counted and listed
in dead.jsonl. So is a hostile or damaged file of a folder of files; where a file is the whole source, it is a
DataError, which stops the stage. A reader gives `split`, `patient_id` and `study_id` where its data has them.
Images are paths, or a `data:` URI for pixels that live inside the data file: the read stage writes those
beside the samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from medxiaohe.errors import DataError
from medxiaohe.types import Split

CODES = {  # the reasons of dead letters, as words a program can count
    "row": "the row is not what its format says",
    "missing": "a file that is named is not there",
    "placeholder": "the images and their places in the text do not agree",
    "empty": "there is no text, answer or image in it",
    "duplicate": "a row with this id was read before",
    "encoding": "not UTF-8",
    "surrogate": "half of a surrogate pair, which no UTF-8 file can hold",
    "json": "not standard JSON",
    "xml": "not XML, or XML with entities of its own",
    "format": "the file is not of its format",
    "truncated": "the file ends too early",
    "too_large": "it needs more memory than a worker has, or says it does",
    "too_deep": "nested deeper than any real file",
    "bomb": "it unpacks to far more than it is",
    "not_finite": "NaN or infinity where numbers must be",
    "lie": "what the header says is not what the file holds",
    "unsafe_path": "a path that leads out of its folder, or a link",
    "executable": "the file starts as a program",
    "changed": "the bytes are not those of the stated hash",
    "burned_in": "the file says that its pixels name the patient",
    "image": "not a readable image",
    "unsupported": "valid, but there is no decoder for it here",
    "time": "decoding took too long and was stopped",
    "crash": "the decoder died",
}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    where: str  # file and row, or the id of the record
    reason: str
    code: str = "row"  # a key of CODES
    sha256: str = ""  # of the row's bytes, or of the file when all of it is refused
    offset: int | None = None  # the byte of the file at which the row, or the damage, begins


class Rejected(DataError):
    """A DataError with the code of its reason, and where it is known the byte at fault."""

    def __init__(self, code: str, message: str, offset: int | None = None):
        super().__init__(message)
        assert code in CODES, code
        self.code, self.offset = code, offset


def split_named(name: str) -> Split:
    """The split that the name of an official file tells: train, devel or dev, test."""
    name = name.lower()
    return "train" if "train" in name else "validation" if "dev" in name else "test" if "test" in name else ""
