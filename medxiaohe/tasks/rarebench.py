"""RareBench task 4 (Chen et al. 2024): five most likely rare diseases from the phenotypes of a patient,
public part.

Rows {"Phenotype": [HPO ids], "RareDisease": [OMIM, ORPHA, CCRD ids]} of RAMEDIS, MME, HMS and LIRICAL; ids
become names by the mappings of RareBench, which the data pack has. Not run here: the layout is that of the
published files, the fingerprint is not measured. With `tree` synonyms of the tree count, without it the names
of RareBench.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.plugins import nearest
from medxiaohe.tasks import _rows
from medxiaohe.tasks._common import item, known_split, place, shuffled
from medxiaohe.tasks._names import among
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

LICENSE = "Apache-2.0"
PARTS = ("RAMEDIS", "MME", "HMS", "LIRICAL")
HUB = "chenxz/RareBench"


def rarebench(path: str = HUB, part: str = "", tree: Path | None = None) -> Task:
    """RareBench task 4: the five most likely rare diseases from the phenotypes of a patient.

    Args:
        path: hub id, or a folder with RAMEDIS.jsonl, MME.jsonl, ...
        part: one of `PARTS`; "" for all.
        tree: folder of a built tree whose synonyms count as the same name; None compares names by spelling.

    Returns:
        The task; data is read when its samples are.

    Raises:
        ConfigError: there is no such part.
    """
    if part and part not in PARTS:
        raise ConfigError(f"rarebench has no part {part!r}{nearest(part, PARTS)}")
    return Task(
        "rarebench",
        partial(samples, path, part),
        (among(tree, 5), among(tree, 1)),
        example(),
        LICENSE,
        prompt="ranked",
        cluster="patient",
        splits=("test",),
        tags=("text", "english", "cases", "rare"),
        gold=lambda sample: sample.target.split("\n")[0],
    )


def samples(path: str, part: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        part: as the task takes it.
        split: test, the only one.

    Yields:
        One item for each patient, part by part, in an order that depends only on their numbers.

    Raises:
        ConfigError: the task has no such split.
        DataError: data or the mappings of ids are missing, or a row is not of RareBench.
    """
    known_split(split, ("test",))
    folder = _rows.local(path)
    phenotypes, diseases = _names("phenotype"), _names("disease")
    for name in [part] if part else PARTS:
        rows = _rows.rows(folder, name) if folder else _rows.hub(path, "test", name)
        for number in shuffled(range(len(rows)), key=lambda i: f"{name}/{i:06d}"):
            row = rows[number]
            try:
                signs = [phenotypes[id] for id in row["Phenotype"]]
                names = list(
                    dict.fromkeys(
                        synonym for id in row["RareDisease"] for synonym in _said(diseases.get(id, ""))
                    )
                )
            except (KeyError, TypeError) as error:
                raise DataError(f"{path}, {name}, row {number}: not a row of RareBench: {error!r}") from error
            if signs and names:
                yield _question(f"{name}-{number}", signs, names, row["RareDisease"])


@cache
def _names(kind: str) -> Mapping[str, Any]:
    names: Mapping[str, Any] = io.read_json(place("", f"ontology/rarebench_{kind}_mapping.json"))
    return names


def _said(names: str) -> Iterator[str]:
    """The names of a disease, which the mapping joins by a stroke, without the Chinese ones."""
    for name in str(names).split("/"):
        if name.strip() and name.isascii():
            yield " ".join(name.split())


def _question(id: str, signs: Sequence[str], names: Sequence[str], ids: Sequence[str]) -> Sample:
    text = f"Findings: {'; '.join(signs)}.\nWhich rare diseases explain them best?"
    fields = {
        "target": "\n".join(names),
        "license": LICENSE,
        "patient_id": f"rarebench-{id}",
        "split": "test",
        "meta": {"ids": list(ids)},
    }
    return item(f"rarebench/{id}", asked("ranked", text), names[0], **fields)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question("example", ["Ectopia lentis", "Tall stature"], ["Marfan syndrome"], ["OMIM:154700"])
