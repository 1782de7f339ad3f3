"""Does a training row give away an item of a test split? Text, image, patient and study are compared.

text     a run of 13 words in common (Brown et al. 2020, GPT-3, appendix C), or 60 % of the item's word triples (75 % when
         there are fewer than twelve), which finds edited copies, or, however short, the same question
image    the same file, or a near-identical one (looks.py)
patient, study   the same id

Only words that tell one item from the others count. Word triples that occur in more than 1 % of a task's studies (and in
more than one) are its template ("Does this chest X-ray show pneumonia?"), and an n-gram counts when more than half of its
words lie outside of it; the lines with the options are left out. A question about an image gives nothing away without
the image: its text counts only in tasks of ten studies or more, where a template can be told, and never by equality.
Answers of eight words or more, reports say, are compared too.

Ids are compared as written. One of six characters or more (a PMID, "person1453") means the same everywhere; a shorter
one ("12") only within its source.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medxiaohe.data import overlap
from medxiaohe.data.looks import Gallery, Lens
from medxiaohe.types import ImageRef, Sample

if TYPE_CHECKING:
    import numpy as np

RUN, TRIPLE = 13, 3
MIN_TRIPLES, FEW_TRIPLES = 6, 12
MIN_SHARE, MIN_SHARE_OF_FEW = 0.6, 0.75  # titles of a series share their first words
MAX_TEMPLATE_SHARE = 0.01
MIN_STUDIES, MIN_ANSWER_WORDS = 10, 8
DISTINCTIVE = 6  # characters of an id
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


@dataclass(frozen=True, slots=True)
class _Part:
    """The question or the answer of an item."""

    item: Sample
    lines: tuple[str, ...]
    equality: bool


class TestItems:
    """The test items of some tasks, ready to be looked for."""

    def __init__(self, items: Iterable[Sample], lens: Lens):
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
        self.checked = {task: len(found) for task, found in by_task.items()}
        self._runs, self._triples = _Grams(RUN), _Grams(TRIPLE)
        for found in by_task.values():
            self._add_texts(found)
        self._runs.freeze()
        self._triples.freeze()

    def find(self, sample: Sample) -> Match | None:
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
        studies = {_study(item) for item in items}
        parts = [part for item in items for part in _parts(item, len(studies))]
        template = _template(parts, max(1.0, MAX_TEMPLATE_SHARE * len(studies)))
        for grams in (self._runs, self._triples):
            grams.add(parts, template)
        for part in parts:
            if part.equality:
                self._equal.setdefault(overlap.normal(part.item.prompt.messages[-1].text), part.item)

    def _by_image(self, sample: Sample) -> Match | None:
        for image in sample.images:
            if item := self._files.get(_file(image)):
                return _match(sample, item, "the same image file", "test_image")
        if self._by_id:
            for image in sample.images:
                for name, alike in self._gallery.find(self._lens.look(image)):
                    return _match(sample, self._by_id[name], f"a near-identical image, correlation {alike:.3f}", "test_image")
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
        part, share = self._runs.find(sample.text)
        if part:
            return _match(sample, part.item, f"{RUN} words in a row", "test_text", self._runs.excerpt(sample.text, part))
        part, share = self._triples.find(sample.text)
        if part:
            how = f"{share:.0%} of the item's word triples"
            return _match(sample, part.item, how, "test_text", self._triples.excerpt(sample.text, part))
        return None


class _Grams:
    """The specific n-grams of all parts: hash -> parts, as one sorted array that a row is looked up in at once."""

    def __init__(self, length: int):
        self.length = length
        self.parts: list[_Part] = []
        self._sets: list[np.ndarray] = []

    def add(self, parts: list[_Part], template: np.ndarray) -> None:
        """Parts of one task: the n-grams of which more than half the words lie outside its template."""
        import numpy as np

        self.parts += parts
        self._sets += [np.unique(np.concatenate([self._specific(line, template) for line in part.lines])) for part in parts]

    def _specific(self, line: str, template: np.ndarray) -> np.ndarray:
        import numpy as np

        own = np.ones(len(overlap.words(line)), bool)
        for start in np.flatnonzero(np.isin(overlap.grams(line, TRIPLE), template)):
            own[start : start + TRIPLE] = False
        before = np.concatenate([[0], np.cumsum(own)])
        hashes = overlap.grams(line, self.length)
        return hashes[before[self.length :] - before[: len(before) - self.length] > self.length / 2] if len(hashes) else hashes

    def freeze(self) -> None:
        import numpy as np

        sizes = np.array([len(hashes) for hashes in self._sets], np.int64)
        flat = np.concatenate(self._sets) if self._sets else np.empty(0, np.uint64)
        order = np.argsort(flat, kind="stable")
        self._hashes, self._owners, self._sizes = flat[order], np.repeat(np.arange(len(sizes)), sizes)[order], sizes
        self._sets = []

    def find(self, text: str) -> tuple[_Part | None, float]:
        """The part of which the largest share is in the text, and that share; of triples, a share that is large enough."""
        import numpy as np

        mine = np.unique(overlap.grams(text, self.length))
        left, right = np.searchsorted(self._hashes, mine, "left"), np.searchsorted(self._hashes, mine, "right")
        hit = np.flatnonzero(right > left)
        if not len(hit):
            return None, 0.0
        owners, counts = np.unique(np.concatenate([self._owners[left[i] : right[i]] for i in hit]), return_counts=True)
        shares = counts / self._sizes[owners]
        if self.length == TRIPLE:
            sizes = self._sizes[owners]
            enough = (sizes >= MIN_TRIPLES) & (shares >= np.where(sizes < FEW_TRIPLES, MIN_SHARE_OF_FEW, MIN_SHARE))
            shares = np.where(enough, shares, 0.0)
        best = int(shares.argmax())
        if not shares[best]:
            return None, 0.0
        return self.parts[owners[best]], float(shares[best])

    def excerpt(self, text: str, part: _Part) -> str:
        """The part of the text from the first to the last n-gram that it shares with the item, as far as it fits."""
        theirs = {int(h) for line in part.lines for h in overlap.grams(line, self.length)}
        shared = [i for i, h in enumerate(overlap.grams(text, self.length)) if int(h) in theirs]
        if not shared:
            return text
        marks = list(overlap.WORD.finditer(text.casefold()))
        start = marks[shared[0]].start()
        return ("..." if start > 20 else "") + text[start if start > 20 else 0 : marks[shared[-1] + self.length - 1].end() + 20]


def _template(parts: list[_Part], max_studies: float) -> np.ndarray:
    """The word triples that more than `max_studies` studies of a task have."""
    import numpy as np

    by_study: dict[str, list[np.ndarray]] = defaultdict(list)
    for part in parts:
        by_study[_study(part.item)] += [overlap.grams(line, TRIPLE) for line in part.lines]
    distinct = [np.unique(np.concatenate(hashes)) for hashes in by_study.values()]
    values, counts = np.unique(np.concatenate(distinct) if distinct else np.empty(0, np.uint64), return_counts=True)
    return values[counts > max_studies]


def unit(source: str, id: str) -> str:
    """The id of a patient or study as it is compared."""
    id = id.strip().casefold().removeprefix("pmid:")
    return id if len(id) >= DISTINCTIVE else f"{source}\0{id}"


def _parts(item: Sample, num_studies: int) -> list[_Part]:
    question, options = item.prompt.messages, {overlap.normal(choice) for choice in item.choices}
    lines = [line for message in question for line in message.text.splitlines()]
    lines = [line for line in lines if overlap.normal(line) not in options and " ".join(overlap.words(line)[1:]) not in options]
    parts = []
    if any(map(overlap.words, lines)) and (not item.images or num_studies >= MIN_STUDIES):
        parts.append(_Part(item, tuple(lines), equality=not item.images))
    answer = item.messages[-1].text if item.messages[-1].role == "assistant" and not item.choices else ""
    if len(overlap.words(answer)) >= MIN_ANSWER_WORDS:
        parts.append(_Part(item, (answer,), equality=False))
    return parts


def _study(item: Sample) -> str:
    return item.patient_id or item.study_id or item.id


def _file(image: ImageRef) -> tuple[object, ...]:
    return image.sha256 or image.uri, image.frame, image.box


def _match(sample: Sample, item: Sample, how: str, reason: str, text: str = "") -> Match:
    return Match(sample.id, (text or sample.text)[:SHOWN], item.source, item.id, item.text[:SHOWN], how, reason)
