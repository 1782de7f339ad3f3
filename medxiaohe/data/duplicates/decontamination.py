"""Decontaminate training rows: find the item of a test split that a row gives away, by text, image, patient
or study.

text     a run of 13 words in common (Brown et al. 2020, GPT-3, appendix C), or 60 % of the item's word
         triples (75 % when
         there are fewer than twelve), or a quarter of them and 68 % of its words (edited.py), which finds
         edited copies, or, however short, the same question; a short question counts with half of its
         options, or as a line or sentence of its own
image    the same file, or a near-identical one (near_images.py)
patient, study   the same id

Only words that tell one item from the others count. Word triples that occur in more than 1 % of a task's
studies (and in more than one) are its template ("Does this chest X-ray show pneumonia?"), and an n-gram
counts when more than half of its words lie outside of it; the lines with the options are left out. In a
task that asks one thing of many terms ("What kind of term is 'nasion'?", with the same options for all) the
term must occur exactly: no typing error is forgiven on the word that tells two terms apart. A question
about an image gives nothing away without the image: its text counts only in tasks of ten studies or more,
where a template can be recognised, and never by equality. Answers of eight words or more, reports say, are
compared too.

Ids are compared as written. One of six characters or more (a PMID, "person1453") means the same everywhere; a
shorter one ("12") only within its source.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from medxiaohe.arrays import distinct
from medxiaohe.data.duplicates import edited_copies, overlap
from medxiaohe.data.duplicates.near_images import Gallery, Lens
from medxiaohe.data.duplicates.ngrams import (
    FEW_TRIPLES,
    MAX_HINTS,
    RUN,
    TRIPLE,
    Grams,
    Part,
    common_lines,
    study,
    template,
    with_words,
)
from medxiaohe.data.duplicates.whole_questions import ANCHOR, Whole
from medxiaohe.types import ImageRef, Sample

if TYPE_CHECKING:
    import numpy as np

MAX_TEMPLATE_SHARE = 0.01  # of a task's studies: a word triple that more of them have is its template
MIN_STUDIES = 10  # of a task whose template can be recognised
MIN_ANSWER_WORDS = 8  # of an answer that is compared too
MIN_WORDS = 8  # of a question, its options aside, of which edited copies are searched for
MIN_WORDS_ASKED = 3  # of a question that counts with half of its options
# share of an item's words, by weight, that an edited copy has; and of an item with few triples
MIN_WORDS_SHARE, MIN_WORDS_SHARE_OF_FEW = 0.68, 0.85
MIN_OWN = 0.3  # share of the triples that are not the template: two normal reports share all the others
ALONE, MIN_WORDS_SHARE_ALONE = 1.5, 0.74  # a question that is not much longer than the item
NEARLY_ALL = 0.95  # of the words: where each may have a typing error, few triples stay
# with a smaller share of triples nearly all words must be there
MANY_TRIPLES, MIN_WORDS_SHARE_OF_THIN = 0.25, 0.93
DISTINCTIVE = 6  # characters of an id
PREFIX = re.compile(
    r"^(https?://)?(pubmed\.ncbi\.nlm\.nih\.gov/|www\.ncbi\.nlm\.nih\.gov/(pubmed|pmc/articles)/|(dx\.)?doi\.org/)?(pmid|doi|uid)?[:\s]*(?=\S)"
)  # what an article id is written with
MIN_FRAME = 5  # words that the questions of a task share
MIN_FRAME_OF_QUESTION = 0.5  # of the words of a question that asks one thing of a term
FRAME_SHARE = 0.7  # of the words that the questions of a task share: the same question, asked of something
SHOWN = 600  # characters of each text of a pair


@dataclass(frozen=True, slots=True)
class Match:
    """A training row and the test item it gives away, side by side."""

    id: str
    text: str
    task: str
    item: str
    item_text: str
    how: str
    reason: str  # test_image, test_patient, test_study or test_text


class TestItems:
    """An index of the test items of some tasks; those of tasks in `without_words` are compared by image and
    id alone."""

    def __init__(self, items: Iterable[Sample], lens: Lens, without_words: Collection[str] = ()):
        self._lens = lens
        self._files: dict[tuple[object, ...], Sample] = {}
        self._gallery, self._by_id = Gallery(), dict[str, Sample]()
        self._patients: dict[str, Sample] = {}
        self._studies: dict[str, Sample] = {}
        self._equal: dict[str, Sample] = {}
        by_task: dict[str, list[Sample]] = defaultdict(list)
        for item in items:
            by_task[item.source].append(item)
            self._add_ids(item)
        self.checked = {task: len(task_items) for task, task_items in by_task.items()}
        self._runs, self._triples, self._hints = Grams(RUN), Grams(TRIPLE), Grams(TRIPLE)
        self._shared: dict[str, np.ndarray] = {}
        self._weights: dict[str, edited_copies.Weights] = {}
        self._whole, self._parts = Whole(), list[Part]()
        # numbers of short questions that tell nothing alone: "Which of the following is true?"
        self._general = set[int]()
        self._rare = edited_copies.RareWords()
        self._of_terms = set[str]()  # tasks that ask one thing of many terms
        for task, task_items in by_task.items():
            if task not in without_words:
                self._add_texts(task_items)
        self._runs.freeze()
        self._triples.freeze()
        self._hints.freeze()

    def find(self, sample: Sample) -> Match | None:
        """Find a test item that a training row gives away: by image, by patient or study, then by text.

        Args:
            sample: a training row.

        Returns:
            The first match, or None.

        Raises:
            DataError: an image of the row cannot be opened, as images.open_image.
        """
        return self._by_image(sample) or self._by_unit(sample) or self._by_text(sample)

    def _add_ids(self, item: Sample) -> None:
        for image in item.images:
            if (key := _file(image)) not in self._files:
                self._files[key] = item
                name = f"{len(self._by_id)}"
                self._by_id[name] = item
                self._gallery.add(self._lens.look(image), name)
        if item.patient_id:
            self._patients.setdefault(unit(item.source, item.patient_id), item)
        if item.study_id:
            self._studies.setdefault(unit(item.source, item.study_id), item)

    def _add_texts(self, items: list[Sample]) -> None:
        studies = {study(item) for item in items}
        parts = [part for item in items for part in _parts(item, len(studies))]
        shared = template(parts, max(1.0, MAX_TEMPLATE_SHARE * len(studies)))
        for grams in (self._runs, self._triples):
            grams.add(parts, shared)
        common = common_lines(parts, max(1.0, MAX_TEMPLATE_SHARE * len(studies)))
        parts = [with_words(part, common) for part in parts]
        self._hints.add(parts, shared[:0])
        self._shared[items[0].source] = shared
        weights = edited_copies.Weights(part.words for part in parts)
        self._weights[items[0].source] = weights
        if _shares_options(parts) and _asks_of_terms(parts, weights):
            self._of_terms.add(items[0].source)
        for part in parts:
            if part.equality:
                words = part.words or [word for line in part.lines for word in overlap.words(line)]
                self._whole.add(words, len(self._parts))
                _, size, own = self._triples_in(part, "")
                if size and own < 0 and len(words) < (RUN if part.options else ANCHOR):
                    self._general.add(len(self._parts))
                if len(part.words) >= ANCHOR:
                    self._rare.add(part.words, len(self._parts), self._weights[items[0].source])
                self._parts.append(part)
                self._equal.setdefault(overlap.normal(part.item.prompt.messages[-1].text), part.item)

    def _by_image(self, sample: Sample) -> Match | None:
        for image in sample.images:
            if item := self._files.get(_file(image)):
                return _match(sample, item, "the same image file", "test_image")
        if self._by_id:
            for image in sample.images:
                for name, alike in self._gallery.find(self._lens.look(image)):
                    return _match(
                        sample,
                        self._by_id[name],
                        f"a near-identical image, correlation {alike:.3f}",
                        "test_image",
                    )
        return None

    def _by_unit(self, sample: Sample) -> Match | None:
        if sample.patient_id and (item := self._patients.get(unit(sample.source, sample.patient_id))):
            return _match(sample, item, f"the same patient {sample.patient_id}", "test_patient")
        if sample.study_id and (item := self._studies.get(unit(sample.source, sample.study_id))):
            return _match(sample, item, f"the same study {sample.study_id}", "test_study")
        return None

    def _by_text(self, sample: Sample) -> Match | None:
        for message in sample.messages:
            if item := self._equal.get(overlap.normal(message.text)):
                return _match(sample, item, "the same text", "test_text")
        text = overlap.words(sample.text)
        for number, start, end in self._whole.find(text):
            part = self._parts[number]
            alone = end - start >= ANCHOR or (
                not part.options and overlap.stands_alone(sample.text, start, end)
            )
            if (alone and number not in self._general) or _with_options(part, end - start, text):
                return _match(
                    sample,
                    part.item,
                    "the whole question",
                    "test_text",
                    overlap.excerpt(sample.text, start, end),
                )
        matched, share = self._runs.find(sample.text)
        if matched:
            return _match(
                sample,
                matched.item,
                f"{RUN} words in a row",
                "test_text",
                self._runs.excerpt(sample.text, matched),
            )
        matched, share = self._triples.find(sample.text)
        if matched and not self._is_of_another(matched, sample):
            description = f"{share:.0%} of the item's word triples"
            return _match(
                sample, matched.item, description, "test_text", self._triples.excerpt(sample.text, matched)
            )
        return self._by_words(sample)

    def _by_words(self, sample: Sample) -> Match | None:
        text = overlap.words(sample.text)
        lengths = [len(overlap.words(message.text)) for message in sample.messages if message.role == "user"]
        for part, anchors in self._candidates(sample.text):
            if part.item.images or len(part.words) < ANCHOR or self._is_of_another(part, sample):
                continue
            alike = edited_copies.share(part.words, text, anchors, self._weights[part.item.source])
            if alike < MIN_WORDS_SHARE:
                continue
            half = _half_of(part.options, text)
            if not half and len(part.words) < MIN_WORDS:
                continue
            # the fewer triples are shared, the more words must be (`_needed`); some of the item's own triples
            # are needed in any case
            share, size, own = self._triples_in(part, sample.text)
            alone = any(
                number <= ALONE * (len(part.words) + sum(map(len, part.options))) for number in lengths
            )
            if alike >= _needed(share, size, half, alone) and (
                own >= MIN_OWN or (own >= 0 and alike >= NEARLY_ALL)
            ):
                description = f"{alike:.0%} of the item's words and {share:.0%} of its word triples" + (
                    ", with its options" if half else ""
                )
                return _match(
                    sample, part.item, description, "test_text", self._triples.excerpt(sample.text, part)
                )
        return None

    def _is_of_another(self, part: Part, sample: Sample) -> bool:
        """Whether the same question is asked of something else: of a task that asks all its items in the same
        words, exactly the words that an item is about must occur, and no others."""
        if part.item.source not in self._of_terms:
            return False
        weights = self._weights[part.item.source]
        frame = {word for word in part.words if weights.is_frame(word)}
        if len(frame) < MIN_FRAME:  # yes, no and maybe are the options of questions about anything
            return False
        about = _about(part.words, frame, part.options)
        for message in sample.messages:
            words = overlap.words(message.text)
            framed = len(frame & set(words)) >= FRAME_SHARE * len(frame)
            if _about(words, frame, part.options) == about if framed else about <= set(words):
                return False
        return True

    def _candidates(self, text: str) -> Iterator[tuple[Part, list[int]]]:
        """List parts that share word triples or rare words with the text, with the indices of these words."""
        yield from self._hints.hints(text)
        yield from (
            (self._parts[number], places)
            for number, places in self._rare.find(overlap.words(text), MAX_HINTS)
        )

    def _triples_in(self, part: Part, text: str) -> tuple[float, int, float]:
        """Compute the share of an item's word triples that a text has.

        Returns:
            The share of all triples, their number, and the share of those that are not the task's template:
            -1 when the item has none of these, and 0 when it has one, which is too few.
        """
        import numpy as np

        theirs = distinct(np.concatenate([overlap.grams(line, TRIPLE) for line in part.lines]))
        present = np.isin(theirs, overlap.grams(text, TRIPLE))
        own = present[~np.isin(theirs, self._shared[part.item.source])]
        return (
            float(present.mean()) if len(theirs) else 0.0,
            len(theirs),
            float(own.mean()) if len(own) > 1 else len(own) - 1.0,
        )


def _about(
    words: Iterable[str], frame: Collection[str], options: Iterable[Collection[str]]
) -> frozenset[str]:
    """The words of a question that are neither its frame nor its options."""
    chosen = {word for option in options for word in option}
    return frozenset(word for word in words if word not in frame and word not in chosen)


def _shares_options(parts: Iterable[Part]) -> bool:
    """Whether most questions of a task offer the same options: they ask one thing of many terms."""
    sets = Counter(frozenset(part.options) for part in parts if part.options)
    return sets.total() >= MIN_STUDIES and max(sets.values()) > sets.total() / 2


def _asks_of_terms(parts: Iterable[Part], weights: edited_copies.Weights) -> bool:
    """Whether most questions of a task are the same words but for a few: "What kind of term is 'nasion'?"."""
    shares = [sum(map(weights.is_frame, part.words)) / len(part.words) for part in parts if part.words]
    return bool(shares) and median(shares) >= MIN_FRAME_OF_QUESTION


def _needed(share: float, size: int, half: bool, alone: bool) -> float:
    """Compute the share of an item's words that is required, given the share of its `size` triples: words in
    any order may be another text's.
    """
    if alone:
        return MIN_WORDS_SHARE_ALONE if size < FEW_TRIPLES and not half else MIN_WORDS_SHARE
    enough = MIN_WORDS_SHARE if size >= FEW_TRIPLES or half else MIN_WORDS_SHARE_OF_FEW
    return enough if share >= MANY_TRIPLES else max(enough, MIN_WORDS_SHARE_OF_THIN)


def unit(source: str, id: str) -> str:
    """Normalise the id of a patient or study for comparison.

    Args:
        source: of the row.
        id: as written.

    Returns:
        The id in lower case without the prefix of a PMID or DOI; one of fewer than DISTINCTIVE characters
        together with its source.
    """
    id = id.strip().casefold().rstrip("/")
    id = PREFIX.sub("", id)
    return id if len(id) >= DISTINCTIVE else f"{source}\0{id}"


def _parts(item: Sample, num_studies: int) -> list[Part]:
    question, options = item.prompt.messages, {overlap.normal(choice) for choice in item.choices}
    lines = [line for message in question for line in message.text.splitlines()]
    lines = [
        line
        for line in lines
        if overlap.normal(line) not in options and " ".join(overlap.words(line)[1:]) not in options
    ]
    parts = []
    if any(map(overlap.words, lines)) and (not item.images or num_studies >= MIN_STUDIES):
        choices = tuple(overlap.words(choice) for choice in item.choices)
        parts.append(Part(item, tuple(lines), equality=not item.images, options=choices))
    answer = item.messages[-1].text if item.messages[-1].role == "assistant" and not item.choices else ""
    if len(overlap.words(answer)) >= MIN_ANSWER_WORDS:
        parts.append(Part(item, (answer,), equality=False))
    return parts


def _half_of(options: tuple[tuple[str, ...], ...], text: tuple[str, ...]) -> bool:
    """Tell whether half of the options are in the text; yes and no, two options, are in every text."""
    return len(options) > 2 and 2 * edited_copies.options_found(options, text) >= len(options)


def _with_options(part: Part, length: int, text: tuple[str, ...]) -> bool:
    """Tell whether enough options are in the text: half of them, and all for a question of a word or two
    ("Mode is").
    """
    if length < MIN_WORDS_ASKED:
        return len(part.options) > 2 and edited_copies.options_found(part.options, text) == len(part.options)
    return _half_of(part.options, text)


def _file(image: ImageRef) -> tuple[object, ...]:
    return image.sha256 or image.uri, image.frame, image.box


def _match(sample: Sample, item: Sample, description: str, reason: str, text: str = "") -> Match:
    return Match(
        sample.id, (text or sample.text)[:SHOWN], item.source, item.id, item.text[:SHOWN], description, reason
    )
