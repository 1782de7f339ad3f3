"""Reads tests/golden/*.yaml: replies written by hand, with what a strict reader makes of each.

A file is a list of groups {scorer, target, choices, settings, prompt, rows}; a row is [id, reply, verdict,
why], where a verdict is "VALUE PARSED", "unparsed" or "refused".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from medxiaohe import io, plugins
from medxiaohe.types import Entity, Message, Sample, Score, Trace

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Item:
    id: str
    scorer: str
    settings: dict[str, Any]
    sample: Sample
    reply: str
    verdict: str
    why: str
    group: dict[str, Any]


def items(file: str) -> Iterator[Item]:
    for group in yaml.safe_load((FOLDER / f"{file}.yaml").read_text(encoding="utf-8")):
        question = (Message("user", (group.get("prompt", "?"),)),)
        for row in group["rows"]:
            sample = Sample(
                row[0], question, str(group["target"]).strip(), tuple(map(str, group.get("choices", ())))
            )
            yield Item(
                row[0], group["scorer"], group.get("settings", {}), sample, row[1], row[2], row[3], group
            )


def files() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "tree")


def tree(folder: Path) -> Path:
    """The tree of tests/golden/tree.yaml in a folder, as entity.build leaves one."""
    rows = [Entity("T:0", "disease", "disease")]
    for id, name, synonyms in yaml.safe_load((FOLDER / "tree.yaml").read_text(encoding="utf-8")):
        rows.append(Entity(id, name, "disease", ("T:0",), tuple(synonyms)))
    io.write_jsonl(folder / "entities.jsonl", rows)
    return folder


def score(item: Item, folder: Path) -> Score:
    scorer = plugins.load("scoring", item.scorer)
    settings = item.settings | ({"tree": folder} if item.scorer in ("entity", "ranked", "ranked.mrr") else {})
    return partial(scorer, **settings)(item.sample, trace(item.sample, item.reply))


def trace(sample: Sample, reply: str) -> Trace:
    return Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (reply,))))


def verdict(score: Score) -> str:
    return f"{score.value:.6g} {score.parsed}" if score.status == "judged" else score.status
