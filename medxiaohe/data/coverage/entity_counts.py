"""Count what a corpus says about each entity of a tree: mentions, evidence and reviewed items, kept apart
(MedXIAOHE); streamed.

mentions    documents, and places in their texts, that name it. To be named is not to be explained.
evidence    passages whose title names it: the first line of a document, or the question of an instruction,
            with at least
            BODY words after it; and images of rows that name it. The tree itself says whether it has a
            definition.
reviewed    items that a person reviewed: rows of a corpus given as reviewed, and rows that say
            `reviewed`. They
            count for the entities the reviewer wrote down as codes (entities, mentions, diagnosis), and only
            where a row has none of the tree for those that its text names.

A document is a row, or rows in a row of one study_id: an article with ten questions is one document. What is
below an entity counts once for it (entity.rollup). Nothing is kept of a row, so memory does not follow the
size of the corpus; ids that occur twice are therefore counted twice: curate first.
"""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.data.coverage.corpora import Corpus, expected, rows
from medxiaohe.data.readers import DeadLetter
from medxiaohe.entity.linking.finder import Finder
from medxiaohe.entity.tagging.gold import concept_ids
from medxiaohe.entity.tree.ids import curie
from medxiaohe.entity.tree.rollup import Rollup
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.progress import Meter
from medxiaohe.types import Sample

COLUMNS = (
    "mentions", "documents", "documents_below", "passages", "passages_below", "images", "images_below",
    "reviewed", "reviewed_below",
)  # fmt: skip
TOTALS = ("rows", "documents", "documents_with_mentions", "passages", "images", "reviewed", "letters")
BODY = 20  # words after a title that make a passage of it
TITLE = 300  # characters; a longer question is a case, not a topic
BATCH_ROWS, BATCH_LETTERS = 256, 250_000  # rows and characters of a batch, whichever is reached first
SECONDS_BETWEEN_SAVES = 30.0  # which a kill may cost


@dataclass
class Tally:
    """The counts of one corpus, by number of the entity, and its totals."""

    columns: dict[str, array[int]]
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOTALS, 0))
    dead: int = 0
    digest: str = ""  # of the ids and texts of all rows, in order

    @classmethod
    def of(cls, size: int) -> Tally:
        """Make an empty tally.

        Args:
            size: number of entities of the tree.

        Returns:
            All columns, (size,) zeros of int64.
        """
        return cls({name: array("q", bytes(8 * size)) for name in COLUMNS})

    @property
    def fingerprint(self) -> str:
        """Shorten `digest` to 16 hexadecimal digits.

        Returns:
            Identity of the rows that were counted.
        """
        return self.digest[:16]

    def save(self, path: Path) -> None:
        """Write the tally to a file, so that a killed run continues from it.

        Args:
            path: a line of JSON with totals and digest, then the columns as int64 in the order of
                COLUMNS.
        """
        head = json.dumps({"totals": self.totals, "digest": self.digest}).encode() + b"\n"
        io.write(
            path,
            lambda file: file.writelines([head, *(column.tobytes() for column in self.columns.values())]),
        )

    @classmethod
    def load(cls, path: Path, size: int) -> Tally:
        """Load a tally that `save` wrote.

        Args:
            path: the file.
            size: number of entities of the tree.

        Returns:
            The tally; `dead` is 0, for rejected rows are read again.
        """
        head, _, body = path.read_bytes().partition(b"\n")
        tally = cls.of(0)
        for number, name in enumerate(COLUMNS):
            tally.columns[name].frombytes(body[8 * size * number : 8 * size * (number + 1)])
        header = json.loads(head)
        tally.totals, tally.digest = header["totals"], header["digest"]
        return tally


@dataclass
class _Open:
    """The document that is being read."""

    key: str = ""
    named: set[int] = field(default_factory=set)
    titled: set[int] = field(default_factory=set)
    images: dict[str, set[int]] = field(default_factory=dict)


class Counter:
    """Counts corpora against one tree."""

    def __init__(self, tree: Tree, finder: Finder):
        self.rollup = Rollup(tree)
        self._finder = finder
        self._codes: dict[str, int] = {}
        for id, entity in tree.entities.items():
            for code in entity.xrefs:
                self._codes.setdefault(code, self.rollup.number[id])
        self._codes.update(self.rollup.number)
        roots = {self.rollup.number[id] for id in tree.roots}  # a domain is not what an item is about
        self._codes = {code: number for code, number in self._codes.items() if number not in roots}

    def count(
        self, corpora: Sequence[Corpus], label: str, *, work: Path | None = None, reviewed: bool = False,
        reject: Callable[[Corpus, DeadLetter], None] = lambda corpus, letter: None,
    ) -> Tally:  # fmt: skip
        """Count what corpora say about each entity.

        Args:
            corpora: read one after the other into one tally.
            label: shown with the progress, and the name of the file in `work`.
            work: folder for the counts of a run that is killed; None: nothing is saved.
            reviewed: rows are reviewed items: count these only.
            reject: called with each rejected row.

        Returns:
            The tally of all the corpora.

        Raises:
            DataError: a file is not in the format of its reader.
        """
        state = work / f"{label}.tally" if work else None
        tally = (
            Tally.load(state, len(self.rollup)) if state and state.is_file() else Tally.of(len(self.rollup))
        )
        skip, done, saved = tally.totals["rows"], 0, time.monotonic()
        opened: _Open | None = None
        sizes = [expected(source) for source in corpora]
        meter = Meter(label, None if None in sizes else sum(size or 0 for size in sizes))

        def samples() -> Iterator[Sample]:
            """Read the corpora one after the other; rejected rows are counted and reported.

            Yields:
                Samples.
            """
            for source in corpora:
                for row in rows(source):
                    meter.advance()
                    if isinstance(row, DeadLetter):
                        tally.dead += 1
                        reject(source, row)
                    else:
                        yield row

        try:
            for batch in _batches(samples()):
                if done + len(batch) <= skip:  # counted before the run was killed
                    done += len(batch)
                    continue
                batch, done = batch[max(0, skip - done) :], max(done, skip)
                for sample, mentions in zip(
                    batch, self._find([sample.text for sample in batch]), strict=True
                ):
                    if opened is None or not sample.study_id or sample.study_id != opened.key:
                        self._close(None if reviewed else opened, tally)
                        opened = _Open(sample.study_id)
                        if state and time.monotonic() - saved >= SECONDS_BETWEEN_SAVES:
                            tally.save(state)
                            saved = time.monotonic()
                    self._add(sample, mentions, None if reviewed else opened, tally)
                    done += 1
        finally:
            meter.close()
        self._close(None if reviewed else opened, tally)
        return tally

    def _find(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        """Find mentions in texts: start in characters, and number of the entity."""
        if hasattr(self._finder, "find_batch"):
            batch = self._finder.find_batch(texts)
            bounds, starts, values = batch.rows.tolist(), batch.start.tolist(), (batch.value >> 1).tolist()
            return [list(zip(starts[a:b], values[a:b], strict=True)) for a, b in pairwise(bounds)]
        number = self.rollup.number
        return [
            [(mention.start, number[mention.entity]) for mention in self._finder.find(text)] for text in texts
        ]

    def _add(
        self, sample: Sample, mentions: list[tuple[int, int]], opened: _Open | None, tally: Tally
    ) -> None:
        """Add a row to the open document and the tally; without an open document it counts as a reviewed item
        alone.
        """
        text, totals, columns = sample.text, tally.totals, tally.columns
        totals["rows"] += 1
        totals["letters"] += len(text)
        # chained hash: the digest of all rows so far depends on their order
        tally.digest = hashlib.sha256(
            f"{tally.digest}\n{sample.id}\n{text}".encode("utf-8", "surrogatepass")
        ).hexdigest()
        # a reviewed item counts for the codes of its reviewer, else for the entities that its text names
        named = {number for _, number in mentions}
        if opened is None or sample.annotations.reviewed:
            totals["reviewed"] += 1
            judged = {self._codes[code] for code in _codes(sample) if code in self._codes} or named
            _count(judged, columns["reviewed"])
            _count(self.rollup.above_any(judged), columns["reviewed_below"])
        if opened is None:
            return
        for _, number in mentions:
            columns["mentions"][number] += 1
        named |= {self.rollup.number[id] for id in sample.entities if id in self.rollup.number}
        begin, end, body = _title(sample)
        if body:
            opened.titled |= {number for start, number in mentions if begin <= start < end}
        opened.named |= named
        for image in sample.images:
            opened.images.setdefault(f"{image.uri}#{image.frame}", set()).update(named)

    def _close(self, opened: _Open | None, tally: Tally) -> None:
        """Count a document that is complete."""
        if opened is None:
            return
        columns, totals = tally.columns, tally.totals
        totals["documents"] += 1
        totals["documents_with_mentions"] += bool(opened.named)
        totals["passages"] += bool(opened.titled)
        totals["images"] += len(opened.images)
        # an entity, and each entity above it, counts once for a document, a passage and an image
        for name, numbers in (("documents", opened.named), ("passages", opened.titled)):
            _count(numbers, columns[name])
            _count(self.rollup.above_any(numbers), columns[f"{name}_below"])
        for numbers in opened.images.values():
            _count(numbers, columns["images"])
            _count(self.rollup.above_any(numbers), columns["images_below"])


def _count(numbers: Iterable[int], column: array[int]) -> None:
    for number in numbers:
        column[number] += 1


def _batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    batch, letters = list[Sample](), 0
    for sample in samples:
        batch.append(sample)
        letters += len(sample.text)
        if len(batch) >= BATCH_ROWS or letters >= BATCH_LETTERS:
            yield batch
            batch, letters = [], 0
    if batch:
        yield batch


def _title(sample: Sample) -> tuple[int, int, bool]:
    """Locate the title of a row in its text (start and end in characters), and tell whether a passage follows
    it.
    """
    offset = 0
    for message, after in zip(sample.messages, (*sample.messages[1:], None), strict=True):
        text = message.text
        if message.role == "document":
            title, _, body = text.partition("\n")
            return offset, offset + len(title), len(title) <= TITLE and _is_passage(body)
        if message.role == "user" and after is not None and after.role == "assistant":
            return offset, offset + len(text), len(text) <= TITLE and _is_passage(after.text)
        offset += len(text) + 1
    return 0, 0, False


def _is_passage(text: str) -> bool:
    return len(text.split(None, BODY)) >= BODY


def _codes(sample: Sample) -> Iterator[str]:
    """List the codes of entities that a row has in its annotations: what an annotator wrote down."""
    yield from sample.entities
    for mention in sample.annotations.mentions:
        if mention.ids:
            yield from map(curie, concept_ids(mention.ids))
    for key, value in io.noted(sample).items():
        if key != "mentions":
            yield from (curie(text) for text in texts_in(value) if ":" in text)


def texts_in(value: Any) -> Iterator[str]:
    """Collect the texts of a JSON value at any depth.

    Yields:
        Strings in order; keys of objects are left out.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from texts_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_in(item)
