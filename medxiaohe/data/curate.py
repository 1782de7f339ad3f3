"""Stage data.curate: what must not be trained on goes, and each row that goes has a reason.

Documents are put into one form; then, in this order: rows of held-out splits, and rows that share a patient or study with one;
filters; exact duplicates; near-duplicates; rows that give away a test item of a task named in `against`. The first reason found is
the one given.

samples.jsonl, dropped.jsonl {id, source, reason, detail}, contamination.json (pairs side by side), coverage.json
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from medxiaohe import io, plugins
from medxiaohe.data.decontaminate import Match, TestItems, unit
from medxiaohe.data.duplicates import Duplicates
from medxiaohe.data.looks import Lens
from medxiaohe.data.normalise import normalised
from medxiaohe.data.rows import Rows
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.progress import track
from medxiaohe.tasks import make, named
from medxiaohe.types import Sample, Task

HELD_OUT = ("validation", "test")


@dataclass(frozen=True)
class Against:
    """A task whose test split must stay unseen; `held_out` is that of the corpus itself."""

    task: str
    options: dict[str, Any] = field(default_factory=dict)
    words: bool = True  # false: by image, patient and study alone, for reports, of which the normal ones are alike


@dataclass(frozen=True)
class CurateSettings:
    against: tuple[Against, ...] = ()
    filters: tuple[str, ...] = ("too_short", "not_english", "repetitive", "retracted", "empty_answer")
    normalise: bool = True  # documents in one form first (data/normalise.py)
    near_text: float = 0.8  # Jaccard index of word 5-grams from which two texts are one; 0 looks for exact copies only

    def __post_init__(self) -> None:
        if self.near_text and not 0.5 <= self.near_text <= 1:
            raise ConfigError(f"near_text must be 0 (off) or between 0.5 and 1, not {self.near_text}")


def curate(settings: CurateSettings, out: Path, *, corpus: Path, tree: Path | None = None) -> dict[str, Any]:
    plugins.need("numpy", "PIL", why="data.curate")
    lens, matches = Lens(), list[Match]()
    form: Callable[[Sample], Sample] = normalised if settings.normalise else lambda sample: sample
    filters = [(name, plugins.load("filters", name)) for name in settings.filters]
    made = [(one, make(one.task, tree, one.options, corpus)) for one in settings.against]
    items = TestItems(_items([task for _, task in made]), lens, {task.name for one, task in made if not one.words})
    with Rows(corpus) as rows:
        held_out = _held_out(rows)
        duplicates = Duplicates(lens, threshold=settings.near_text, text_of=lambda place: form(rows.at(place)).text)
        checks: list[Callable[[Sample], tuple[str, str]]] = [
            held_out,
            lambda sample: next(((name, why) for name, keep in filters if (why := keep(sample))), ("", "")),
            duplicates.find,
            lambda sample: _contaminated(sample, items, matches),
        ]
        dropped, coverage, num_read, num_changed = Counter[str](), Counter[str](), 0, 0

        def fill(dropped_file: IO[bytes]) -> int:
            def kept() -> Iterator[Sample]:
                nonlocal num_read, num_changed
                for place, given in track(rows, "curate"):
                    sample = form(given)
                    num_read += 1
                    num_changed += sample is not given
                    reason, detail = next((found for check in checks if (found := check(sample))[0]), ("", ""))
                    if reason:
                        dropped[reason] += 1
                        row = {"id": sample.id, "source": sample.source, "reason": reason, "detail": detail}
                        dropped_file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
                        continue
                    duplicates.add(sample, place)
                    coverage.update(sample.entities)
                    yield sample

            return io.write_jsonl(out / "samples.jsonl", kept())

        num_kept = int(io.write(out / "dropped.jsonl", fill))
    assert num_read == num_kept + sum(dropped.values()), (num_read, num_kept, dropped)
    if not num_kept:
        raise DataError(f"nothing is left of {num_read} rows of {corpus}: dropped {dict(dropped.most_common())}")
    io.write_json(out / "contamination.json", {"checked": items.checked, "matches": matches})
    io.write_json(out / "coverage.json", dict(sorted(coverage.items())))
    counts = {"read": num_read, "kept": num_kept, "normalised": num_changed}
    return {**counts, "dropped": dict(dropped.most_common()), "contaminated": len(matches)}


def _items(tasks: Sequence[Task]) -> Iterator[Sample]:
    for task in tasks:
        found = False
        for sample in track(task.samples("test"), f"test items of {task.name}"):
            found = True
            yield named(sample, task)
        if not found:
            raise DataError(f"task {task.name} has no test items to compare with")


def _held_out(rows: Rows) -> Callable[[Sample], tuple[str, str]]:
    """Drops rows of a held-out split, and rows that share a patient or study with one of them."""
    patients, studies = set[str](), set[str]()
    for _, sample in rows:
        if sample.split in HELD_OUT:
            if sample.patient_id:
                patients.add(unit(sample.source, sample.patient_id))
            if sample.study_id:
                studies.add(unit(sample.source, sample.study_id))

    def check(sample: Sample) -> tuple[str, str]:
        if sample.split in HELD_OUT:
            return "held_out_split", sample.split
        if sample.patient_id and unit(sample.source, sample.patient_id) in patients:
            return "held_out_patient", f"patient {sample.patient_id} is also in a held-out split"
        if sample.study_id and unit(sample.source, sample.study_id) in studies:
            return "held_out_study", f"study {sample.study_id} is also in a held-out split"
        return "", ""

    return check


def _contaminated(sample: Sample, items: TestItems, matches: list[Match]) -> tuple[str, str]:
    match = items.find(sample)
    if match is None:
        return "", ""
    matches.append(match)
    return match.reason, f"{match.how}: {match.item}"
