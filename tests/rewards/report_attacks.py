"""Replies to a report that must not earn what an honest draft of it earns, and what each of them earned."""

from __future__ import annotations

from collections import defaultdict

from medxiaohe.evidence.claims import as_finding
from medxiaohe.evidence.phrases import hedged
from medxiaohe.evidence.sentences import split
from medxiaohe.rewards.hybrid import answered
from medxiaohe.rewards.report import report_many
from medxiaohe.scoring._findings import lexicon
from medxiaohe.types import Message, Sample

NORMAL = (
    "The heart is normal in size. The mediastinum is unremarkable. The lungs are clear. No"
    " pleural effusion or"
    " pneumothorax. The bony structures are intact. No acute disease."
)
DENIABLE = (
    "pneumothorax", "pleural effusion", "consolidation", "infiltrate", "edema", "mass", "nodule", "fracture",
    "cardiomegaly", "hernia", "granuloma", "scoliosis", "emphysema",
)  # fmt: skip
NEGATIVES = " ".join(f"No {name}." for name in DENIABLE)


def sample(text: str) -> Sample:
    return Sample(text[:40], (Message("user", ("Report?",)), Message("assistant", (text,))))


def honest(text: str) -> str:
    """The report as somebody who missed one thing writes it: without its last sentence."""
    rows = [one.text for one in split(text)]
    return " ".join(rows[:-1] if len(rows) > 2 else rows)


def attacks(text: str, other: str) -> dict[str, str]:
    words = lexicon()
    return {
        "empty": "",
        "all negatives": NEGATIVES,
        "copied prior": other,
        "all hedged": " ".join(hedged(as_finding(one), words) for one in words.findings(text + NEGATIVES)
                               if one.status == "present") or "Possible effusion. Possible nodule.",
        "template": NORMAL,
    }  # fmt: skip


def earned(texts: list[str]) -> dict[str, list[float]]:
    """Reply -> what it earned on each report; the other patient's report is the next one of `texts`."""
    found = defaultdict(list)
    for text, other in zip(texts, [*texts[1:], texts[0]], strict=True):
        item = sample(text)
        replies = {"honest": honest(text), **attacks(text, other)}
        rewards = report_many([(item, answered(item, reply)) for reply in replies.values()])
        values = dict(zip(replies, (one.total or 0.0 for one in rewards), strict=True))
        for name, value in values.items():
            found[name].append(value)
    return found
