"""Which diseases of the pack's phenopackets are in a tree by their OMIM number.

    MEDXIAOHE_DATA=/path/to/data PYTHONPATH=. python benchmarks/omim_share.py out/tree/tree/1

A case of the phenopacket store names its diagnosis by an OMIM number. It is found where an entity of the tree
has that number as its id or among its cross-references. Rows, each over distinct diseases:

    by number                  all diseases
    ... in the annotations     those that phenotype.hpoa of the package file knows: the newest open table of
                               OMIM numbers that a package holds
    ... newer                  the others, which the tree can only have from another table
    by number or name          also those whose name, as the case writes it, is a name of exactly one disease

The cases themselves are not read into the tree: their numbers would then be found by construction.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from benchmarks.shares import line
from medxiaohe import assets
from medxiaohe.data.readers.phenopackets import phenopackets
from medxiaohe.entity.readers import _tables
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.tasks._common import place
from medxiaohe.types import Sample


def diseases(folder: Path) -> dict[str, str]:
    """OMIM number -> name as the cases write it."""
    found: dict[str, str] = {}
    for case in phenopackets(folder):
        if isinstance(case, Sample):
            found.setdefault(str(case.meta["disease"]), case.target)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=Path, help="a folder that `tree build` finished")
    parser.add_argument("--missing", type=int, default=0, help="also print so many that are not found")
    args = parser.parse_args()
    asked = diseases(place("", "rare/phenopackets"))
    entities = Tree.load(args.tree).entities.values()
    numbers = {id for one in entities for id in (one.id, *one.xrefs) if id.startswith("OMIM:")}
    names = Counter(
        name
        for one in entities
        if one.kind == "disease"
        for name in {n.casefold() for n in (one.name, *one.synonyms)}
    )
    file = assets.folder("hpo") / "phenotype.hpoa"
    listed = {row["database_id"] for _, row in _tables.rows(file, "hpoa", ("database_id",))}
    old, new = [id for id in asked if id in listed], [id for id in asked if id not in listed]
    print(f"{len(asked)} diseases; annotations {_tables.comments(file).get('version', '')}")
    print(line("by number", sum(id in numbers for id in asked), len(asked)))
    print(line("by number, in the annotations", sum(id in numbers for id in old), len(old)))
    print(line("by number, newer than the annotations", sum(id in numbers for id in new), len(new)))
    either = [id for id, name in asked.items() if id in numbers or names[name.strip().casefold()] == 1]
    print(line("by number or name", len(either), len(asked)))
    for id in [id for id in old if id not in numbers][: args.missing]:
        print(f"  {id} {asked[id]}")


if __name__ == "__main__":
    main()
