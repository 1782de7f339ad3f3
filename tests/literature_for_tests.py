"""A small regular ontology and passages that mention what it has and what it lacks, for the tests of
literature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.entity.build import row
from medxiaohe.types import Entity, Message, Sample

ORGANS = "lung liver kidney brain heart skin bone eye thyroid".split()
CONDITIONS = "cancer fibrosis infection atrophy abscess cyst hemorrhage infarction".split()


def ontology(left_out: tuple[str, ...] = ()) -> list[Entity]:
    """disease > ORGAN disease, CONDITION > ORGAN CONDITION > ORGAN CONDITION type 1 and 2."""
    found = [Entity("MET:disease", "disease", "disease", source="made up", license="CC0-1.0")]

    def add(name: str, *parents: str, definition: str = "") -> None:
        ids = tuple(
            "D:" + parent.replace(" ", "_") if parent != "disease" else "MET:disease" for parent in parents
        )
        if name not in left_out:
            found.append(
                Entity(
                    "D:" + name.replace(" ", "_"),
                    name,
                    "disease",
                    ids,
                    (),
                    definition,
                    (),
                    "made up",
                    "CC0-1.0",
                )
            )

    for organ in ORGANS:
        add(f"{organ} disease", "disease")
    for condition in CONDITIONS:
        add(condition, "disease")
    for organ in ORGANS:
        for condition in CONDITIONS:
            name = f"{organ} {condition}"
            add(
                name,
                f"{organ} disease",
                condition,
                definition=f"A {organ} disease that is marked by {condition} of the {organ}.",
            )
            for number in (1, 2):
                add(f"{name} type {number}", name)
    return found


def tree_folder(folder: Path, entities: list[Entity] | None = None) -> Path:
    """The folder of a tree, as entity.build leaves it."""
    folder.mkdir(parents=True)
    io.write_jsonl(folder / "entities.jsonl", map(row, entities or ontology()))
    for name in ("terms.jsonl", "merges.jsonl", "relations.jsonl", "problems.jsonl"):
        io.write_jsonl(folder / name, [{"id": "D:lung_cancer", "source": "made up"}])
    return folder


def passages(path: Path, texts: list[str], **more: Any) -> Path:
    """Texts as the samples.jsonl of data.read."""
    rows = [
        Sample(
            f"p/{i}",
            (Message("document", (text,)),),
            source="made up",
            license="CC0-1.0",
            split="train",
            **more,
        )
        for i, text in enumerate(texts)
    ]
    io.write_jsonl(path, rows)
    return path


def reply(*names: list[tuple[str, str]]) -> str:
    """What a model that keeps the schema says of passages 1, 2, ... ."""
    import json

    return json.dumps(
        {
            "passages": [
                {"passage": i, "entities": [{"text": t, "type": k} for t, k in found]}
                for i, found in enumerate(names, 1)
            ]
        }
    )
