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

from medxiaohe.errors import REJECTIONS, Rejected
from medxiaohe.types import Split

CODES = REJECTIONS  # the reasons of rejected rows, as words a program can count
__all__ = ["CODES", "DeadLetter", "Rejected", "split_named"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row or file that a reader rejects: listed in dead.jsonl and counted by `code`."""

    where: str  # file and row, or the id of the record
    reason: str
    code: str = "row"  # a key of CODES
    sha256: str = ""  # of the row's bytes, or of the file when all of it is refused
    offset: int | None = None  # the byte of the file at which the row, or the damage, begins


def split_named(name: str) -> Split:
    """Read the split from the name of an official file.

    Args:
        name: of a file, such as `train.tsv` or `devel.tsv`, in any case.

    Returns:
        `train`, `validation` (for dev and devel), `test`, or "" where the name has none of them.
    """
    name = name.lower()
    return "train" if "train" in name else "validation" if "dev" in name else "test" if "test" in name else ""
