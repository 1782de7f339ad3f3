"""Stage data.align: drop rows whose text contradicts their labels, in two steps (arXiv 2604.25296).

    samples.jsonl   what stays; `annotations.alignment` says what was checked
    dropped.jsonl   {id, source, stage, reason, detail}
    coverage.json; contamination.json, nodes.jsonl and items.jsonl are copied where the corpus has them

First rules over names, sides and the tree, and a similarity as a rank among other rows; then a judge: any
Model, which sees the picture where there is one. The judge is asked about mismatches planted in the rows
first, and stops the run (JudgeFailed) if it cannot tell them. When it abstains or fails, that is no verdict:
the row is `undecided`, counted, and treated as the setting says.
"""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io
from medxiaohe.data.coverage.row_accounts import settle
from medxiaohe.data.duplicates import contamination_record
from medxiaohe.data.mixing.stored_rows import Rows
from medxiaohe.data.synth import anchors, planted, similarity
from medxiaohe.data.synth.anchors import Item
from medxiaohe.data.synth.graph import Graph
from medxiaohe.data.synth.mismatch import Mismatch, Rules
from medxiaohe.data.synth.teacher import TeacherSettings, spending, teacher
from medxiaohe.entity.linking.finder import finder
from medxiaohe.errors import ConfigError, DataError, JudgeFailed
from medxiaohe.models.asking import Client, Outcome, Unreadable
from medxiaohe.models.embed import embedder
from medxiaohe.progress import track
from medxiaohe.scoring._findings import lexicon
from medxiaohe.types import Message, Sample

CHUNK = 2048  # rows that are compared with each other; a killed run loses at most one chunk
CARRIED = ("nodes.jsonl", "items.jsonl")
MAX_SHOWN = 3000  # characters of a text that the judge sees
VERDICT = re.compile(r"\W*(?:answer:?\s*)?(mismatch|match|unsure)\W*", re.IGNORECASE)
ASKED = """\
A and B are said of the same {what}.
A: {anchor}
B: {text}
Can both be true of it, and are they about the same thing? Mind the names of diseases and organs, left and right, and what is denied.
Answer with one word: match, mismatch, or unsure."""  # noqa: E501


@dataclass(frozen=True)
class AlignSettings:
    tags: tuple[str, ...] = anchors.TAGS  # keys of meta that say what a row is about
    rules: bool = True  # drop rows whose text contradicts their labels by rules (negation, side, sex)
    similarity: str = "ngrams"  # of text and anchor: ngrams, minilm, a folder, or "" for none
    least: float = 0.7  # standing below which a text is of another row
    # the same for a text beside its picture (0.5 with minilm); 0 does not look at pictures
    pictures: float = 0.0
    judge: TeacherSettings | None = None  # a model that rules on rows the rules leave open; null: none
    planted: int = 20  # mismatches that a judge must tell from as many rows, before it is believed
    undecided: Literal["keep", "drop"] = "keep"  # what happens to rows that neither rules nor judge decide
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.least < 1 or not 0 <= self.pictures < 1:
            raise ConfigError(
                f"least and pictures are shares of 0 to below 1, not {self.least} and {self.pictures}"
            )
        if not (self.rules or self.similarity or self.pictures or self.judge):
            raise ConfigError("nothing is left to align by: set rules, similarity, pictures or judge")


@dataclass
class _Row:
    sample: Sample
    item: Item
    reason: str = ""
    detail: str = ""
    stage: str = ""
    notes: dict[str, Any] | None = None

    def drop(self, stage: str, reason: str, detail: str) -> None:
        """Mark the row as dropped; three empty texts take the mark back.

        Args:
            stage: the check that drops it: "rules", "similarity", "pictures" or "judge".
            reason: the reason that is counted.
            detail: the reason in words, for dropped.jsonl.
        """
        self.stage, self.reason, self.detail = stage, reason, detail


def align(settings: AlignSettings, out: Path, *, corpus: Path, tree: Path) -> dict[str, Any]:
    """Drop rows whose text contradicts what else they say.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        corpus: folder of a data stage.
        tree: folder of a built tree.

    Returns:
        the summary of the stage: `read`, `kept`, `dropped`, `unchecked`, `undecided`, `judge`

    Raises:
        JudgeFailed: the judge does not recognise planted mismatches.
        DataError: no row is left.
    """
    graph = Graph.load(tree)
    rules = Rules(graph, finder(tree), lexicon(tree))
    work = io.scratch(
        out,
        [
            settings,
            io.content(corpus, "samples.jsonl"),
            io.content(tree, "entities.jsonl"),
            io.code.digest(__name__),
        ],
    )
    judge = teacher(settings.judge, work) if settings.judge else None
    files = []
    with Rows(corpus) as rows:
        stream = (sample for _, sample in track(rows, "align"))
        number = 0
        while chunk := list(islice(stream, CHUNK)):
            path = work / f"rows-{number}.jsonl"
            if judge and number == 0:
                _trusted(judge, [anchors.item(s, settings.tags) for s in chunk], graph, rules, settings)
            if not path.exists():
                aligned = _aligned(chunk, rules, judge, settings)
                fields = ("sample", "stage", "reason", "detail")
                io.write_jsonl(path, ({name: getattr(item, name) for name in fields} for item in aligned))
            files.append(path)
            number += 1
    return _publish(out, corpus, files, judge)


def _aligned(
    samples: Sequence[Sample], rules: Rules, judge: Client | None, settings: AlignSettings
) -> list[_Row]:
    rows = [_Row(sample, anchors.item(sample, settings.tags), notes={}) for sample in samples]
    # rules on negation, side, sex and the tree; then ranks among the other rows; then the judge, for rows
    # that nothing has dropped
    for row in rows:
        mismatch = rules(row.item) if settings.rules else Mismatch(checked=False)
        assert row.notes is not None
        row.notes["rules"] = "checked" if mismatch.checked else "nothing to compare"
        if mismatch.kind:
            row.drop("rules", mismatch.kind, mismatch.detail)
    if settings.similarity:
        _stand(rows, settings)
    if settings.pictures:
        _stand_beside_pictures(rows, settings)
    if judge:
        _judged(
            [row for row in rows if not row.reason and (row.item.anchors or row.item.images)], judge, settings
        )
    return [
        replace(
            row,
            sample=replace(
                row.sample, annotations=replace(row.sample.annotations, alignment=row.notes or {})
            ),
        )
        for row in rows
    ]


def _stand(rows: Sequence[_Row], settings: AlignSettings) -> None:
    both = [row for row in rows if row.item.anchors and row.item.text.strip()]
    if len({_study(row.sample) for row in both}) < similarity.MIN_PAIRS:
        return  # a rank among fewer studies says little
    groups = [_study(row.sample) for row in both]
    embed = embedder(settings.similarity)
    values = similarity.of_texts(
        [r.item.anchor for r in both], [r.item.text for r in both], groups, embed, settings.seed
    )
    for row, value in zip(both, values, strict=True):
        assert row.notes is not None
        # standing: share of the other rows' texts that are less similar to this row's anchor, 0 to 1
        row.notes["standing"] = round(float(value), 3)
        # the rule "unrelated" is weaker evidence than a high rank: it is taken back
        if row.reason == "unrelated" and value >= settings.least:
            row.drop("", "", "")
        if value < settings.least and not row.reason:
            row.drop(
                "similarity",
                "unlike",
                f"{1 - value:.0%} of other rows' texts are more like what this row is about",
            )


def _stand_beside_pictures(rows: Sequence[_Row], settings: AlignSettings) -> None:
    both = [row for row in rows if row.item.images and row.item.text.strip()]
    if len({_study(row.sample) for row in both}) < similarity.MIN_PAIRS:
        return
    features = similarity.picture_features([row.item.images[0] for row in both])
    texts = embedder(settings.similarity or "ngrams").encode(
        [f"{row.item.anchor}\n{row.item.text}" for row in both]
    )
    values = similarity.of_pictures(features, texts, [_study(row.sample) for row in both], settings.seed)
    for row, value in zip(both, values, strict=True):
        assert row.notes is not None
        row.notes["beside_picture"] = round(float(value), 3)
        if value < settings.pictures and not row.reason:
            row.drop(
                "pictures", "another picture", f"{1 - value:.0%} of other rows' texts fit the picture better"
            )


def _study(sample: Sample) -> str:
    return f"{sample.source}/{sample.study_id or sample.id}"


# ---- the judge -----------------------------------------------------------------------------------


def question(item: Item) -> list[Message]:
    """Build the prompt that asks the judge whether a text and its anchor can both be true.

    Args:
        item: text, anchor and images of a row; text and anchor are cut at MAX_SHOWN characters.

    Returns:
        One user message: the images, then the question.
    """
    subject = "picture" if item.images else "case"
    request = ASKED.format(
        what=subject, anchor=item.anchor[:MAX_SHOWN] or "(see the picture)", text=item.text[:MAX_SHOWN]
    )
    return [Message("user", (*item.images, request))]


def verdict(reply: str) -> str:
    """Parse the verdict of a judge.

    Returns:
        "match", "mismatch" or "unsure", whatever its case in the reply.

    Raises:
        Unreadable: the reply is anything but one of these words.
    """
    match = VERDICT.fullmatch(reply)
    if not match:
        raise Unreadable("the answer must be one word: match, mismatch, or unsure")
    return match[1].lower()


def _asked(judge: Client, items: Sequence[Item]) -> list[Outcome]:
    return judge.ask([question(item) for item in items], verdict, label=f"ask {judge.name}")


def _judged(rows: Sequence[_Row], judge: Client, settings: AlignSettings) -> None:
    for row, reply in zip(rows, _asked(judge, [row.item for row in rows]), strict=True):
        assert row.notes is not None
        row.notes["judge"] = {
            **reply.record(judge.name),
            "verdict": reply.value or "",
            "problem": reply.error,
        }
        if reply.value == "mismatch":
            row.drop("judge", "mismatch", reply.text[:200])
        elif reply.value != "match":
            row.notes["undecided"] = True
            if settings.undecided == "drop":
                row.drop("judge", "undecided", reply.error or "the judge is unsure")


def _trusted(
    judge: Client, items: Sequence[Item], graph: Graph, rules: Rules, settings: AlignSettings
) -> None:
    """Test the judge on planted mismatches; JudgeFailed unless it detects at least half of them, and more
    than it reports in the same rows without.
    """
    # pairs of a row and the same row with a planted mismatch: an unrelated text and a sibling's name in turn
    dice = random.Random(settings.seed)
    complete = [item for item in items if item.anchors and len(item.text.split()) >= anchors.BODY]
    studies = {item.id: item.id for item in complete}
    pairs: list[Any] = []
    for original in dice.sample(complete, len(complete)):
        wrong = (
            planted.unrelated(original, complete, studies, dice)
            if len(pairs) % 2
            else planted.sibling(original, graph, rules.names, dice)
        )
        if wrong:
            pairs.append((original, wrong))
        if len(pairs) == settings.planted:
            break
    if not settings.planted or not pairs:
        return
    verdicts = [reply.value for reply in _asked(judge, [item for pair in pairs for item in pair])]
    # false alarms on the rows, hits on the planted mismatches
    false, caught = verdicts[::2].count("mismatch"), verdicts[1::2].count("mismatch")
    if caught * 2 < len(pairs) or caught <= false:
        raise JudgeFailed(
            f"the judge {judge.name} called {caught} of {len(pairs)} planted mismatches one, and {false} of"
            " the same rows without: take another judge, or none"
        )


# ---- output --------------------------------------------------------------------------------------


def _publish(out: Path, corpus: Path, files: Sequence[Path], judge: Client | None) -> dict[str, Any]:
    coverage, dropped, notes, num = Counter[str](), list[dict[str, Any]](), Counter[str](), 0

    def kept() -> Iterator[Any]:
        """Separate dropped rows from the others, and count both.

        Yields:
            Rows of samples.jsonl as JSON objects.
        """
        nonlocal num
        for path in files:
            for row in io.read_jsonl(path):
                num += 1
                sample = row["sample"]
                checked = sample["annotations"]["alignment"]
                notes["unchecked"] += checked.get("rules") == "nothing to compare"
                notes["undecided"] += bool(checked.get("undecided"))
                if row["reason"]:
                    why = {key: row[key] for key in ("stage", "reason", "detail")}
                    dropped.append({"id": sample["id"], "source": sample.get("source", ""), **why})
                    continue
                coverage.update(sample.get("entities", ()))
                yield sample

    num_kept = io.write_jsonl(out / "samples.jsonl", kept())
    if not num_kept:
        raise DataError(
            f"nothing is left of {num} rows of {corpus}: every text contradicts what else its row says"
        )
    io.write_jsonl(out / "dropped.jsonl", dropped)
    io.write_json(out / "coverage.json", dict(sorted(coverage.items())))
    contamination_record.carry(corpus, out)
    for name in CARRIED:
        if (corpus / name).is_file():
            shutil.copyfile(corpus / name, out / name)
    by = Counter(f"{row['stage']}: {row['reason']}" for row in dropped)
    account = settle("data.align", read=num, written=num_kept, dropped=by)
    judge_report = {"judge": spending(judge)} if judge else {}
    return {
        "read": num,
        "kept": num_kept,
        "dropped": dict(by.most_common()),
        "account": account,
        **dict(sorted(notes.items())),
        **judge_report,
    }
