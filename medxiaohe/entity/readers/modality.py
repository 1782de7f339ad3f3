"""How a picture or a signal of a patient is made: a list of imaging modalities of our own (modality.tsv,
CC0).

No open vocabulary of imaging ships in a package (RadLex and DICOM have terms of their own), and without
modalities the tree could not say what an image is of.
"""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe.entity.readers.tsv import tsv
from medxiaohe.types import Entity

FILE = Path(__file__).with_name("modality.tsv")

EXAMPLE: dict[str, str | bytes] = {
    "modality.tsv": "".join(FILE.read_text(encoding="utf-8").splitlines(keepends=True)[:4])
}


def modality(path: Path | None = None) -> Iterator[Entity]:
    """Read the list of imaging modalities and signals.

    Args:
        path: of the vocabulary; None: the table of medxiaohe.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    return tsv(path or FILE)
