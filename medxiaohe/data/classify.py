"""Stage data.classify: how likely each text is about medicine, by a classifier that taught itself from a few
labels (MedXIAOHE).

Round 0 is trained on seeds: texts of sources that are medical, or not, by their origin. In each further round
the classifier says what it thinks of `candidates` unlabelled texts, half of those it is surest about and half
of those it is not; a stronger judge looks at each a second time; the confirmed positives and negatives join
the labels, and the classifier is trained again. What the judge cannot tell joins nothing.

    samples.jsonl     the rows, with annotations.medical {probability, round}; filter `medical` of data.curate
                      drops the improbable
    labels.jsonl      {id, label, round, by, thought}: `thought` is the probability before the judge was asked
    classifier.npz    the last classifier (data/cleaning/linear_classifier.py)

judge: `entities` counts names of the tree for each hundred words (rows must be linked); `model` asks any
backend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io, plugins
from medxiaohe.data.cleaning.linear_classifier import Classifier, train
from medxiaohe.data.coverage.row_accounts import settle
from medxiaohe.data.duplicates import contamination_record, overlap
from medxiaohe.data.mixing.stored_rows import Rows
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.asking import Client
from medxiaohe.progress import track
from medxiaohe.types import Medical, Message, Sample

MEDICAL_DENSITY, GENERAL_DENSITY = 3.0, 0.8  # different entities in 100 words
MIN_WORDS = 20  # of a text that the entity judge labels
SHOWN = 3000  # characters of a text in the prompt of a model
QUESTION = (
    "Is this text about medicine, health or biomedical research? Answer with one word, yes or no.\n\n{text}"
)


@dataclass(frozen=True)
class ClassifySettings:
    medical: tuple[str, ...] = ()  # sources whose rows are seeds of the one class,
    general: tuple[str, ...] = ()  # and of the other
    seeds: int = 200  # of each class
    rounds: int = 2  # rounds of judging candidates and training the classifier again
    candidates: int = 400  # rows that the judge looks at in a round
    # who labels candidates: entities of the tree in the text, or a model
    judge: Literal["entities", "model"] = "entities"
    backend: str = "transformers"  # of the judge
    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.medical or not self.general or set(self.medical) & set(self.general):
            raise ConfigError(
                "medical and general name the sources that seeds are taken from: at least one each, none in"
                " both"
            )
        if min(self.seeds, self.candidates) < 1 or self.rounds < 0:
            raise ConfigError("seeds and candidates must be at least 1, rounds at least 0")
        if (self.judge == "model") != bool(self.model):
            raise ConfigError("judge: model needs the name of a model in `model`, and judge: entities none")


@dataclass(frozen=True, slots=True)
class Label:
    """The label of a text, and where it came from."""

    id: str
    label: bool
    round: int
    by: str  # origin, entities, or the name of a model
    thought: float | None = None  # the probability that the classifier of the round before gave


def classify(settings: ClassifySettings, out: Path, *, corpus: Path) -> dict[str, Any]:
    """Classify texts as medical or general by self-training.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        corpus: folder of a data stage.

    Returns:
        the summary of the stage: `rows`, `medical`, `general`, `rounds`

    Raises:
        DataError: a source of seeds has no rows.
    """
    plugins.need("numpy", why="data.classify")
    with Rows(corpus) as rows:
        locations = {sample.id: (location, sample.source) for location, sample in track(rows, "index")}

        def texts(labels: Sequence[Label]) -> list[str]:
            """Load the texts of labelled rows.

            Returns:
                One text for each label, in the order of `labels`.
            """
            return [rows.at(locations[label.id][0]).text for label in labels]

        labels = _seeds(settings, {id: source for id, (_, source) in locations.items()})
        # self-training: train, let the judge label candidates, train again
        rounds = []
        for number in range(settings.rounds + 1):
            classifier = train(texts(labels), [label.label for label in labels], settings.seed)
            rounds.append(
                {"round": number, "labels": len(labels), "medical": sum(label.label for label in labels)}
            )
            if number < settings.rounds:
                labels += _confirmed(settings, number + 1, rows, classifier, {label.id for label in labels})
        io.write_jsonl(out / "labels.jsonl", labels)
        classifier.save(out / "classifier.npz")
        counts = {"medical": 0, "general": 0}
        last = settings.rounds

        def scored() -> Iterator[Sample]:
            """Classify all rows with the last classifier.

            Yields:
                Samples with `annotations.medical`.
            """
            for _, sample in track(rows, "classify"):
                chance = round(classifier.probability(sample.text), 4)
                counts["medical" if chance >= 0.5 else "general"] += 1
                noted = replace(sample.annotations, medical=Medical(chance, last))
                yield replace(sample, annotations=noted)

        num = io.write_jsonl(out / "samples.jsonl", scored())
    contamination_record.carry(corpus, out)
    account = settle("data.classify", read=len(locations), written=num, dropped={})
    return {"rows": num, **counts, "rounds": rounds, "account": account}


def _seeds(settings: ClassifySettings, sources: dict[str, str]) -> list[Label]:
    results = []
    for label, names in ((True, settings.medical), (False, settings.general)):
        ids = [id for id, source in sources.items() if source in names]
        if not ids:
            raise DataError(
                f"no rows of {', '.join(names)}: name sources of the"
                f" corpus{plugins.nearest(names[0], set(sources.values()))}"
            )
        ids.sort(key=lambda id: io.unit_interval(str(settings.seed), "seed", id))
        results += [Label(id, label, 0, "origin") for id in ids[: settings.seeds]]
    return results


def _confirmed(
    settings: ClassifySettings, number: int, rows: Rows, classifier: Classifier, labelled: set[str]
) -> list[Label]:
    """Labels of the candidates that the judge could tell, whether or not the classifier agreed."""
    thoughts = [
        (classifier.probability(s.text), s.id, location)
        for location, s in track(rows, f"round {number}")
        if s.id not in labelled
    ]
    drawn = sorted(thoughts, key=lambda entry: io.unit_interval(str(settings.seed), str(number), entry[1]))
    # half of the candidates are those of which the classifier is sure: a quarter from 0.9, a quarter to 0.1
    quarter = max(1, settings.candidates // 4)
    sure = [item for item in drawn if item[0] >= 0.9][:quarter] + [item for item in drawn if item[0] <= 0.1][
        :quarter
    ]
    taken = {id for _, id, _ in sure}
    # the rest are those nearest to 0.5 (uncertainty sampling)
    doubtful = sorted((item for item in drawn if item[1] not in taken), key=lambda entry: abs(entry[0] - 0.5))
    chosen = (sure + doubtful)[: settings.candidates]
    samples = [rows.at(location) for _, _, location in chosen]
    verdicts, by = (
        (_by_entities(samples), "entities") if settings.judge == "entities" else _by_model(settings, samples)
    )
    return [
        Label(id, verdict, number, by, round(thought, 4))
        for (thought, id, _), verdict in zip(chosen, verdicts, strict=True)
        if verdict is not None
    ]


def _by_entities(samples: Sequence[Sample]) -> list[bool | None]:
    """Label texts by the density of entities of the tree (`by_density`)."""
    return [by_density(len(sample.entities), len(overlap.words(sample.text))) for sample in samples]


def by_density(num_entities: int, num_words: int) -> bool | None:
    """Label a text by the density of entities in it.

    Args:
        num_entities: number of different entities that the text mentions.
        num_words: its length in words.

    Returns:
        True (medical) from MEDICAL_DENSITY entities for each 100 words, False (general) up to
        GENERAL_DENSITY; None between the two, and for texts shorter than MIN_WORDS.
    """
    if num_words < MIN_WORDS:
        return None
    density = 100 * num_entities / num_words
    return True if density >= MEDICAL_DENSITY else False if density <= GENERAL_DENSITY else None


def _by_model(settings: ClassifySettings, samples: Sequence[Sample]) -> tuple[list[bool | None], str]:
    model = plugins.load("models", settings.backend)(settings.model, **settings.options)
    prompts = [[Message("user", (QUESTION.format(text=sample.text[:SHOWN]),))] for sample in samples]
    replies = [outcome.text.strip().casefold() for outcome in Client(model).ask(prompts, label="classify")]
    return [_yes_or_no(reply) for reply in replies], str(model.name)


def _yes_or_no(reply: str) -> bool | None:
    """The word that a reply begins with; None for "not sure", "normal" or anything else."""
    word = re.match(r"\W*(yes|no)\b(?! (?:idea|way to))", reply)
    return None if word is None else word[1] == "yes"
