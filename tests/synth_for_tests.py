"""A small tree with facts, large enough for paths of more than five hops, siblings and thin entities; and its
folder."""

from __future__ import annotations

from pathlib import Path

from medxiaohe import io
from medxiaohe.data.synth.graph import Graph
from medxiaohe.entity.build import row
from medxiaohe.entity.linking.link import Linker
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Entity, Relation

SOURCE, LICENSE = "made up", "CC0-1.0"
GROUPS = ("myopathy", "neuropathy", "nephropathy")
SIGNS = (
    "Ptosis Tremor Ataxia Nystagmus Oedema Haematuria Proteinuria Cramp Fasciculation Areflexia Dysarthria"
    " Myalgia".split()
)
PLACES = ("left lung", "right lung", "renal cortex", "renal medulla", "deltoid muscle", "soleus muscle")


def entities() -> list[Entity]:
    found = [
        _one("D:root", "disease", "disease"), _one("P:root", "phenotype", "phenotype"), _one("A:root",
        "anatomy", "anatomy"),
        _one("D:all", "disease of an organ system", "disease", "D:root"), _one("P:all",
        "abnormal body function", "phenotype", "P:root"),
        _one("A:all", "body region", "anatomy", "A:root"),
    ]  # fmt: skip
    for g, group in enumerate(GROUPS):
        found.append(
            _one(
                f"D:g{g}",
                group,
                "disease",
                "D:all",
                definition=f"A group of illnesses, the {group} kind, of many causes.",
            )
        )
        for i, letter in enumerate(("Abel", "Brun", "Cole", "Dorn", "Esch")):
            told = (
                f"An illness first told of by {letter}, in which strength of {SIGNS[g]} and {SIGNS[i + 3]}"
                f" wanes over {i + 2} years."
            )
            found.append(
                _one(
                    f"D:{g}{i}",
                    f"{letter} {group}",
                    "disease",
                    f"D:g{g}",
                    definition=told,
                    synonyms=(f"{group} of {letter}",),
                )
            )
            found.append(
                _one(f"D:{g}{i}a", f"{letter} {group} with onset in infancy", "disease", f"D:{g}{i}")
            )
    for n in range(5):
        found.append(
            _one(f"P:g{n}", f"sign of row {'one two three four five'.split()[n]}", "phenotype", "P:all")
        )
    for i, sign in enumerate(SIGNS):
        found.append(
            _one(
                f"P:{i}",
                sign,
                "phenotype",
                f"P:g{i % 5}",
                definition=f"What is seen when {sign.lower()} is there, number {i}.",
            )
        )
    for i, place in enumerate(PLACES):
        found.append(_one(f"A:{i}", place, "anatomy", "A:all"))
    return found


def relations() -> list[Relation]:
    found = []
    for g in range(3):
        for i in range(5):
            for step in (0, 2, 5):
                found.append(_fact(f"D:{g}{i}", "has phenotype", f"P:{(g * 4 + i * 2 + step) % 12}", 0.5))
            found.append(_fact(f"D:{g}{i}a", "has phenotype", f"P:{(g + 5 * i + 1) % 12}"))
            found.append(_fact(f"D:{g}{i}", "located in", f"A:{(g * 2 + i) % 6}"))
    return [*found, _fact("D:00", "has phenotype", "P:11", 0.0)]  # no patient had it: not a fact


def tree() -> Tree:
    return Tree(entities())


def graph() -> Graph:
    return Graph(tree(), relations())


def names() -> Linker:
    return Linker(tree())


def folder(path: Path) -> Path:
    """What entity.build would leave, as far as other stages read it."""
    with io.publish(path) as draft:
        io.write_jsonl(draft / "entities.jsonl", map(row, entities()))
        io.write_jsonl(draft / "relations.jsonl", relations())
    return path


def _one(
    id: str, name: str, kind: str, parent: str = "", definition: str = "", synonyms: tuple[str, ...] = ()
) -> Entity:
    return Entity(
        id,
        name,
        kind,
        (parent,) if parent else (),
        synonyms,
        definition,
        source=SOURCE,
        license=LICENSE,
        sources=(SOURCE,),
    )


def _fact(subject: str, predicate: str, object: str, value: float | None = None) -> Relation:
    return Relation(subject, predicate, object, value, SOURCE, LICENSE)
