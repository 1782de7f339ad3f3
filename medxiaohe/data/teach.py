"""Stage data.teach: generate chains of thought with teacher models for questions with a known answer; keep
those that pass the answer check and the reasoning check (MedXIAOHE).

    samples.jsonl        the rows of `corpus`, then the new ones; source synth_chain
    refused.jsonl        {id, teacher, draw, reason, detail, calls, cost}: every draft that was not kept
    coverage.json        as it was: the new rows are about what the old ones are about
    contamination.json   that of `corpus`, for the tasks named in `against`, which the new rows are compared
                         with too

The questions are rows of `corpus` with a target, outside of held-out splits. Every teacher drafts `draws`
thoughts for each; what is kept says who wrote it and what that cost. A judge of claims is tested before it is
believed (docs/judges.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.data.curate import Against
from medxiaohe.data.duplicates.decontamination import Match
from medxiaohe.data.gather import coverage_of
from medxiaohe.data.mixing.stored_rows import Rows
from medxiaohe.data.synth import anew, cases, gates
from medxiaohe.data.synth.gates import Draft, Gates, How
from medxiaohe.data.synth.graph import Graph
from medxiaohe.data.synth.route import route
from medxiaohe.data.synth.teacher import TeacherSettings, spending, teacher
from medxiaohe.entity.linking.finder import finder
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.asking import Client, Outcome
from medxiaohe.scoring._findings import lexicon
from medxiaohe.scoring.judges import selftest, use
from medxiaohe.scoring.judges.use import JudgeSettings
from medxiaohe.types import HELD_OUT, Message, Sample

SOURCE = "synth_chain"
NO_DRAFT = {
    "unreadable": "outcome: unreadable",
    "failed": "the model failed",
    "spent": "beyond the budget",
}


@dataclass(frozen=True)
class TeachSettings:
    teachers: tuple[TeacherSettings, ...]  # models that write: model, backend, options, max_calls, max_cost
    how: How = "backwards"  # how a teacher is asked for its chain of thought
    sources: tuple[str, ...] = ("synth_choice", "synth_path")  # sources of the corpus whose rows are asked
    questions: int = 200  # rows that get a chain of thought
    draws: int = 1  # of each teacher for each question; more than one needs a temperature in its options
    most: int = 1  # kept of one question
    # the model that checks the reasoning; the answer is checked by the task's scorer
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    against: tuple[Against, ...] = ()
    keep_corpus: bool = True  # false: the new rows alone
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.teachers:
            raise ConfigError(
                "teachers: name one model or more; without a model data.synthesise writes chains from facts"
            )
        if min(self.questions, self.draws, self.most) < 1:
            raise ConfigError("questions, draws and most must be at least 1")


def teach(settings: TeachSettings, out: Path, *, corpus: Path, tree: Path) -> dict[str, Any]:
    """Have teacher models write chains of thought, and keep those that pass the checks.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        corpus: folder of a data stage with questions and answers.
        tree: folder of a built tree.

    Returns:
        the summary of the stage: `kept`, `drafts`, `by_teacher`, `teachers`

    Raises:
        ModelError: a teacher stopped answering for good.
    """
    graph, names = Graph.load(tree), finder(tree)
    work = io.scratch(
        out,
        [
            settings,
            io.content(corpus, "samples.jsonl"),
            io.content(tree, "entities.jsonl"),
            io.code.digest(__name__),
        ],
    )
    questions = _questions(settings, corpus)
    about = [cases.case(sample, graph) for sample in questions]
    judge = use.make(settings.judge, tree)
    if judge is not None:
        selftest.require(judge, ("claim",))
    two = Gates(lexicon(), names, judge)
    selected: dict[str, list[Sample]] = {}
    refused: list[dict[str, Any]] = []
    by_teacher: dict[str, Counter[str]] = {}
    writers = [teacher(item, work) for item in settings.teachers]
    for writer in writers:
        counts = by_teacher.setdefault(writer.name, Counter())
        for draw in range(settings.draws):
            for sample, case, reply in zip(
                questions, about, _replies(writer, draw, questions, about, settings), strict=True
            ):
                counts["drafts"] += 1
                why = reply.error if reply.value is None else two(reply.value, sample, case)
                reason = NO_DRAFT.get(reply.status, why)
                # of one question at most `most` drafts, no two with the same text
                if not why and any(
                    reply.value.text == old.messages[-1].text for old in selected.get(sample.id, ())
                ):
                    reason = why = "the same as another"
                if not why and len(selected.get(sample.id, ())) >= settings.most:
                    reason = why = "enough of this question"
                if why:
                    counts[f"refused, {reason}"] += 1
                    refused.append({"id": sample.id, "teacher": writer.name, "draw": draw, "reason": reason,
                    "detail": why,
                                    "calls": reply.calls, "cost": round(reply.cost, 8)})  # fmt: skip
                    continue
                counts["kept"] += 1
                chains = selected.setdefault(sample.id, [])
                chains.append(_row(sample, reply, writer, len(chains), settings.how))
    return _publish(
        settings,
        out,
        corpus,
        tree,
        [row for chains in selected.values() for row in chains],
        refused,
        writers,
        by_teacher,
    )


def _questions(settings: TeachSettings, corpus: Path) -> list[Sample]:
    """Select rows with a target and a question that needs a chain of thought, in random order."""
    with Rows(corpus) as rows:
        results = [
            sample for _, sample in rows
            if sample.source in settings.sources and sample.target and sample.split not in HELD_OUT and route(sample) != "none"  # noqa: E501
        ]  # fmt: skip
    if not results:
        raise DataError(
            f"{corpus} has no questions of {', '.join(settings.sources)} that take a thought: name other"
            " sources"
        )
    return sorted(results, key=lambda sample: io.unit_interval(str(settings.seed), "teach", sample.id))[
        : settings.questions
    ]


def _replies(
    writer: Client, draw: int, questions: Sequence[Sample], about: Sequence[Any], settings: TeachSettings
) -> list[Outcome]:
    drawn = writer.drawing(settings.seed * 1000 + draw)
    lengths: list[Any] = ["long" if settings.how == "forwards" else route(sample) for sample in questions]
    talks = [
        gates.question(s, c, settings.how, length)
        for s, c, length in zip(questions, about, lengths, strict=True)
    ]
    readers: list[Callable[[str], Draft]] = [
        gates.reader(s, settings.how, n) for s, n in zip(questions, lengths, strict=True)
    ]
    return drawn.ask(talks, readers, label=f"ask {writer.name}")


def _row(sample: Sample, reply: Outcome, writer: Client, number: int, mode: How) -> Sample:
    draft: Draft = reply.value
    message = Message("assistant", (draft.text,))
    provenance = replace(
        sample.provenance,
        made_of=sample.id,
        made_of_source=sample.source,
        by={**reply.record(writer.name), "how": mode},
        chain="long" if draft.chain else "short",
        gates=("outcome", "thinking"),
    )
    return replace(
        sample,
        id=f"{SOURCE}/{sample.id}/{number}",
        source=SOURCE,
        messages=(*sample.prompt.messages, message),
        provenance=provenance,
    )


def _publish(
    settings: TeachSettings, out: Path, corpus: Path, tree: Path, new: Sequence[Sample],
    refused: list[dict[str, Any]],
    writers: Sequence[Client], by_teacher: dict[str, Counter[str]],
) -> dict[str, Any]:  # fmt: skip
    items, matches, old = anew.test_items(settings.against, tree, corpus), list[Match](), 0

    def rows() -> Iterator[Sample]:
        """Merge the rows of the corpus with the new ones; new rows that match a test item are refused.

        Yields:
            Samples: those of the corpus first.
        """
        nonlocal old
        if settings.keep_corpus:
            with Rows(corpus) as stored:
                for _, sample in stored:
                    old += 1
                    yield sample
        for sample in new:
            if items and (match := items.find(sample)):
                matches.append(match)
                refused.append(
                    {
                        "id": sample.id,
                        "teacher": sample.provenance.by["writer"],
                        "reason": match.reason,
                        "detail": match.item,
                    }
                )
            else:
                yield sample

    num = io.write_jsonl(out / "samples.jsonl", rows())
    io.write_jsonl(out / "refused.jsonl", refused)
    io.write_json(out / "coverage.json", coverage_of(corpus))
    anew.report(out, corpus, items, matches)
    drafts = sum(counts["drafts"] for counts in by_teacher.values())
    cost = [spending(writer) for writer in writers]
    counts = {"corpus": old, "kept": num - old, "drafts": drafts, "contaminated": len(matches)}
    return {
        **counts,
        "by_teacher": {name: dict(c.most_common()) for name, c in by_teacher.items()},
        "teachers": cost,
    }
