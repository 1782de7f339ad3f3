"""One reader a file: `def NAME(path: Path, **options) -> Iterator[Sample | DeadLetter]`, and its EXAMPLE.

A row that cannot be used, in a file that can, is a DeadLetter: it is counted and listed in dead.jsonl.
A file that cannot be used (missing, truncated, not UTF-8) is a DataError: it stops the stage.
A reader gives `split`, `patient_id` and `study_id` where its data has them. Images are paths, or a `data:`
URI for pixels that live inside the data file: the read stage writes those beside the samples.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetter:
    where: str  # file and row, or the id of the record
    reason: str
