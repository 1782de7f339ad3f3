"""Stage data.reconstruct: questions for training from a corpus of cases, clustered, reconstructed and
stratified (Med-RwR, arXiv 2510.18303).

    samples.jsonl        the questions that were kept, source synth_reconstructed
    clusters.jsonl       {id, cluster, cosine, chosen}: the cluster of each row of the corpus
    strata.jsonl         {id, right, judged, stratum}: share of right answers of each model; the stratum is
                         always, sometimes, never or unjudged
    refused.jsonl        {id, reason, detail}: rows whose question was not kept
    coverage.json, contamination.json     of the corpus; the questions are compared with `against` too

Cluster: rows with an image (or a text) become vectors and k-means clusters; those nearest to each centre are
taken, so that what a corpus has ten thousand times is asked about once. Reconstruct: a teacher takes a case
apart and writes a multiple-choice question that does not tell the findings. Stratify: models answer each
question several times, and what all of them always get right teaches nothing and is left out.

paper says                           we do, and why
2,000 clusters of image features     the same default; `features: text` clusters texts, for corpora without
                                     images. The encoder is a setting: the paper's is not among the package
                                     files
GPT-4o takes the case apart and      any backend; the form is read strictly, with repair requests, and a rule
writes a question without leaking    refuses one that names its answer, has a telling word of it, or repeats
findings                             six words of the findings: a teacher's promise is no check
two models answer 10 times each,     the same, `answerers` and `draws`; a question that nobody gets right
always-right items are dropped       stays, and `stratum` says so
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medxiaohe import io, plugins
from medxiaohe.data.curate import Against
from medxiaohe.data.duplicates.decontamination import Match
from medxiaohe.data.gather import coverage_of
from medxiaohe.data.mixing.stored_rows import Rows
from medxiaohe.data.synth import anew, groups
from medxiaohe.data.synth import reconstruct_reply as form
from medxiaohe.data.synth.reconstruct_reply import Reconstructed
from medxiaohe.data.synth.teacher import TeacherSettings, spending, teacher
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.asking import Client, Outcome
from medxiaohe.models.embed import embedder
from medxiaohe.models.embed_images import image_embedder
from medxiaohe.recipe.settings import InputPath
from medxiaohe.scoring.choice import LETTERS, parse
from medxiaohe.types import HELD_OUT, Annotations, Message, Provenance, Sample

if TYPE_CHECKING:
    import numpy as np

SOURCE = "synth_reconstructed"
NO_REPLY = {
    "unreadable": "unreadable",
    "failed": "the model failed",
    "spent": "beyond the budget",
}


@dataclass(frozen=True)
class ReconstructSettings:
    teacher: TeacherSettings  # the model that writes: model, backend, options, max_calls, max_cost
    # models that answer each question; with none, nothing is stratified and every question stays
    answerers: tuple[TeacherSettings, ...] = ()
    draws: int = 10  # answers of each model to each question; they differ only with a temperature
    features: Literal["image", "text"] = "image"  # what rows are clustered by
    encoder: InputPath = ""  # of the features: dinov2 for images and minilm for texts where it is empty
    clusters: int = 2000  # of k-means, over the vectors of the rows
    per_cluster: int = 1  # rows of each cluster that get a question
    sources: tuple[str, ...] = ()  # sources of the corpus; none: all
    against: tuple[Against, ...] = field(default=())
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.draws, self.clusters, self.per_cluster) < 1:
            raise ConfigError("draws, clusters and per_cluster must be at least 1")


def reconstruct(
    settings: ReconstructSettings, out: Path, *, corpus: Path, tree: Path | None = None
) -> dict[str, Any]:
    """Write questions about the middle rows of each cluster, and keep those that are not always answered.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        corpus: folder of a stage with samples.jsonl.
        tree: folder of an entity.build stage, for tasks of `against` that are made of a tree.

    Returns:
        the summary of the stage: `rows`, `clusters`, `asked`, `questions`, `kept`, `strata`, `refused`, ...

    Raises:
        ConfigError: two answerers are the same model.
        DataError: no row has what is clustered and words for the teacher.
    """
    plugins.need("numpy", why="clusters")
    work = io.scratch(out, [settings, io.content(corpus, "samples.jsonl"), io.code.digest(__name__)])
    rows = _rows(settings, corpus)
    # k-means over unit vectors; the rows with the highest cosine to each centre are chosen
    numbers, cosines = groups.kmeans(_vectors(settings, rows), settings.clusters, settings.seed)
    chosen = groups.middle(numbers, cosines, settings.per_cluster)
    cases, refused = [rows[index] for index in chosen], list[dict[str, Any]]()
    writer = teacher(settings.teacher, work)
    questions = list(_questions(cases, writer, settings, refused))
    models = [teacher(item, work) for item in settings.answerers]
    if len({model.name for model in models}) < len(models):
        raise ConfigError("two answerers are the same model with the same options: name each once")
    strata = list(_strata(questions, models, settings))
    stayed = {row["id"] for row in strata if row["stratum"] not in ("always", "unjudged")} if models else None
    for row in strata:
        if row["stratum"] in ("always", "unjudged"):
            reason = "always right" if row["stratum"] == "always" else "not every model answered"
            refused.append({"id": row["id"], "reason": reason, "detail": ""})
    selected = [sample for sample in questions if stayed is None or sample.id in stayed]
    items, matches = anew.test_items(settings.against, tree, corpus), list[Match]()
    if items:
        for sample in selected:
            if match := items.find(sample):
                matches.append(match)
                refused.append({"id": sample.id, "reason": match.reason, "detail": match.item})
        contaminated = {item.id for item in matches}
        selected = [sample for sample in selected if sample.id not in contaminated]
    picked = set(chosen)
    io.write_jsonl(out / "samples.jsonl", selected)
    io.write_jsonl(
        out / "clusters.jsonl",
        (
            {"id": row.id, "cluster": int(n), "cosine": round(float(c), 4), "chosen": index in picked}
            for index, (row, n, c) in enumerate(zip(rows, numbers, cosines, strict=True))
        ),
    )
    io.write_jsonl(out / "strata.jsonl", strata)
    io.write_jsonl(out / "refused.jsonl", refused)
    io.write_json(out / "coverage.json", coverage_of(corpus))
    anew.report(out, corpus, items, matches)
    return {
        "rows": len(rows),
        "clusters": len(set(numbers.tolist())),
        "asked": len(cases),
        "questions": len(questions),
        "kept": len(selected),
        "strata": dict(Counter(row["stratum"] for row in strata).most_common()),
        "refused": dict(Counter(row["reason"] for row in refused).most_common()),
        "contaminated": len(matches),
        "teachers": [spending(item) for item in (writer, *models)],
    }


def _rows(settings: ReconstructSettings, corpus: Path) -> list[Sample]:
    """Select rows outside of held-out splits that have words for the teacher and, for image features, an
    image.
    """
    with Rows(corpus) as stored:
        rows = [
            sample for _, sample in stored
            if sample.split not in HELD_OUT and (not settings.sources or sample.source in settings.sources)
            and _case(sample) and (sample.images or settings.features == "text")
        ]  # fmt: skip
    if not rows:
        needed = "an image and words" if settings.features == "image" else "words"
        raise DataError(f"{corpus} has no rows with {needed} outside of held-out splits")
    return rows


def _case(sample: Sample) -> str:
    """Join the texts of a row with its target: the teacher knows the answer."""
    text = sample.text.strip()
    return text if sample.target in text else f"{text}\n{sample.target}".strip()


def _vectors(settings: ReconstructSettings, rows: Sequence[Sample]) -> np.ndarray:
    if settings.features == "image":
        return image_embedder(settings.encoder or "dinov2").encode([row.images[0] for row in rows])
    return embedder(settings.encoder or "minilm").encode([_case(row) for row in rows])


def _questions(
    cases: Sequence[Sample], writer: Client, settings: ReconstructSettings, refused: list[dict[str, Any]]
) -> Iterator[Sample]:
    """Ask the teacher for a question about each row; replies that are unreadable or leak the findings are
    refused.
    """
    talks = [form.asked(_case(row), row.images) for row in cases]
    for row, reply in zip(cases, writer.ask(talks, form.read, label=f"ask {writer.name}"), strict=True):
        if reply.value is None:
            refused.append({"id": row.id, "reason": NO_REPLY[reply.status], "detail": reply.error})
        elif leaked := form.leak(reply.value):
            refused.append({"id": row.id, "reason": "tells the findings", "detail": leaked})
        else:
            yield _question(row, reply, writer)


def _question(row: Sample, reply: Outcome, writer: Client) -> Sample:
    item: Reconstructed = reply.value
    lines = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, item.options, strict=False))
    letter = LETTERS[item.answer]
    text = f"{item.question}\n{lines}\nAnswer with the letter."
    return replace(
        row,
        id=f"{SOURCE}/{row.id}",
        source=SOURCE,
        messages=(
            Message("user", (*row.images, text)),
            Message("assistant", (f"{letter}. {item.options[item.answer]}",)),
        ),
        target=letter,
        choices=item.options,
        annotations=Annotations(),  # what was found in the row's text is not in the question's
        provenance=Provenance(
            made="reconstruction",
            by=reply.record(writer.name),
            made_of=row.id,
            made_of_source=row.source,
            evidence=item.evidence,
            gates=("leak",),
        ),
    )


def _strata(
    questions: Sequence[Sample], models: Sequence[Client], settings: ReconstructSettings
) -> Iterator[dict[str, Any]]:
    """Measure how often each model answers each question correctly."""
    if not models:
        return
    right: list[Counter[str]] = [Counter() for _ in questions]
    judged: list[Counter[str]] = [Counter() for _ in questions]
    talks = [sample.prompt.messages for sample in questions]
    readers = [partial(_letter, options=sample.choices) for sample in questions]
    # right[i][m] of judged[i][m] readable answers of model m to question i
    for model in models:
        for draw in range(settings.draws):
            drawn = model.drawing(settings.seed * 1000 + draw)
            for index, reply in enumerate(drawn.ask(talks, readers, label=f"ask {model.name}")):
                if reply.status == "read":
                    judged[index][model.name] += 1
                    right[index][model.name] += reply.value == questions[index].target
    for sample, hits, answered in zip(questions, right, judged, strict=True):
        shares = {m.name: hits[m.name] / answered[m.name] for m in models if answered[m.name]}
        yield {
            "id": sample.id,
            "right": {name: round(share, 4) for name, share in shares.items()},
            "judged": dict(answered),
            "stratum": _stratum(list(shares.values())) if len(shares) == len(models) else "unjudged",
        }


def _stratum(shares: Sequence[float]) -> str:
    """Name the stratum of a question by the models' shares of correct answers: "always", "never" or
    "sometimes".
    """
    return "always" if min(shares) == 1 else "never" if max(shares) == 0 else "sometimes"


def _letter(reply: str, options: Sequence[str]) -> str:
    """Parse the letter of the option that a reply chooses; "" for none, which is a wrong answer."""
    return parse(reply, options)
