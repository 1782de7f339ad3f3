"""UMLS in Rich Release Format, whole or a subset such as SNOMED CT: a folder with MRCONSO.RRF, which you
license and obtain.

MRSTY.RRF gives the kind, MRREL.RRF (PAR, CHD) the parents, MRDEF.RRF definitions; each may be missing, and
then nobody knows the kind, the parents, the definitions. English names that are not suppressed are read; the
id is the CUI. The columns are those of https://www.ncbi.nlm.nih.gov/books/NBK9685/.
"""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.readers import _tables
from medxiaohe.errors import DataError
from medxiaohe.types import Entity

LICENSE = "UMLS Metathesaurus License (your own)"
SHORT = ("AB", "ACR", "ABB", "AA", "SYGB_AB")  # term types of abbreviations
KIND_OF_TYPE = {  # semantic type -> kind
    **dict.fromkeys(("T019", "T020", "T037", "T046", "T047", "T048", "T049", "T050", "T190", "T191"),
    "disease"),
    **dict.fromkeys(("T033", "T034", "T184"), "phenotype"),
    **dict.fromkeys(("T017", "T018", "T021", "T022", "T023", "T024", "T029", "T030", "T031"), "anatomy"),
    **dict.fromkeys(("T058", "T059", "T061", "T063"), "procedure"),
    **dict.fromkeys(("T103", "T104", "T109", "T114", "T116", "T120", "T121", "T122", "T123", "T125", "T126",
    "T127", "T129", "T130",
                     "T131", "T195", "T196", "T197", "T200"), "chemical"),
    **dict.fromkeys(("T001", "T002", "T004", "T005", "T007", "T008", "T010", "T011", "T012", "T013", "T014",
    "T015", "T016", "T194",
                     "T204"), "organism"),
    "T060": "procedure", "T074": "device", "T203": "device", "T025": "cell", "T028": "gene",
    "T038": "process", "T039": "process",
    "T040": "process", "T041": "process", "T042": "process", "T043": "process", "T044": "process",
    "T045": "process",
}  # fmt: skip

EXAMPLE: dict[str, str | bytes] = {
    "MRCONSO.RRF": (
        "C0012634|ENG|P|L1|PF|S1|Y|A1||||SNOMEDCT_US|PT|64572001|Disease|9|N||\n"
        "C0004096|ENG|P|L2|PF|S2|Y|A2||||SNOMEDCT_US|PT|195967001|Asthma|9|N||\n"
        "C0004096|ENG|S|L3|PF|S3|Y|A3||||SNOMEDCT_US|SY|195967001|Bronchial asthma|9|N||\n"
        "C0004096|FRE|S|L4|PF|S4|Y|A4||||MSHFRE|SY|D001249|Asthme|9|N||\n"
    ),
    "MRREL.RRF": "C0004096|A2|AUI|PAR|C0012634|A1|AUI|isa|R1||SNOMEDCT_US|SNOMEDCT_US|||N||\n",
    "MRSTY.RRF": (
        "C0012634|T047|B2.2.1.2.1|Disease or Syndrome|AT1||\nC0004096|T047|B2.2.1.2.1|Disease or"
        " Syndrome|AT2||\n"
    ),
}


def rrf(path: Path | None = None) -> Iterator[Entity]:
    """Read a folder with MRCONSO.RRF.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    folder = _tables.named(path, "rrf")
    folder = folder if folder.is_dir() or not folder.exists() else folder.parent
    kinds: dict[str, str] = {}
    for _, cells in _rows(folder / "MRSTY.RRF", 6):
        kinds.setdefault(cells[0], KIND_OF_TYPE.get(cells[1], "other"))
    parents: dict[str, dict[str, None]] = {}
    for _, cells in _rows(folder / "MRREL.RRF", 16):
        if cells[3] in ("PAR", "CHD"):
            child, above = (cells[0], cells[4]) if cells[3] == "PAR" else (cells[4], cells[0])
            if child != above:
                parents.setdefault(child, {})[f"UMLS:{above}"] = None
    definitions: dict[str, str] = {}
    for _, cells in _rows(folder / "MRDEF.RRF", 8):
        definitions.setdefault(cells[0], cells[5])
    for cui, rows in _concepts(folder / "MRCONSO.RRF"):
        name = next((row[14] for row in rows if (row[2], row[4], row[6]) == ("P", "PF", "Y")), rows[0][14])
        names = dict.fromkeys(row[14] for row in rows)
        short = dict.fromkeys(row[14] for row in rows if row[12] in SHORT and row[14] != name)
        codes = dict.fromkeys(f"{row[11]}:{row[13]}" for row in rows if row[13] and row[13] != "NOCODE")
        yield Entity(
            f"UMLS:{cui}", name, kinds.get(cui, "other"), tuple(parents.get(cui, ())),
            tuple(n for n in names if n != name),
            definitions.get(cui, ""), tuple(codes), "UMLS", LICENSE, abbreviations=tuple(short),
        )  # fmt: skip


def _concepts(path: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """English rows that are not suppressed, CUI by CUI: the file is sorted by CUI."""
    current, rows, empty = "", list[list[str]](), True
    for _, cells in _rows(path, 18, needed=True):
        empty = False
        if cells[0] != current and rows:
            yield current, rows
            rows = []
        current = cells[0]
        if cells[1] == "ENG" and cells[16] in ("", "N"):
            rows.append(cells)
    if rows:
        yield current, rows
    if empty:
        raise DataError(f"{path}: no rows in this file: not RRF, or truncated")


def _rows(path: Path, num_columns: int, needed: bool = False) -> Iterator[tuple[int, list[str]]]:
    if not path.exists() and not needed:
        return
    for number, line in io.lines(path):
        cells = line.split("|")
        if len(cells) != num_columns + 1:
            raise DataError(
                f"{path}:{number}: {len(cells) - 1} columns, but {path.name} has {num_columns}: not RRF, or"
                " truncated"
            )
        yield number, cells
