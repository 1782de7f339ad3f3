"""Shard jobs of data.curate: collect held-out patients and studies, filter and decontaminate rows, verify
proposed duplicates, write the output."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import io, plugins, shards
from medxiaohe.data.cleaning.normalise import normalised
from medxiaohe.data.duplicates import near_text
from medxiaohe.data.duplicates.decontamination import TestItems, unit
from medxiaohe.data.duplicates.near_images import Lens
from medxiaohe.errors import DataError
from medxiaohe.progress import track
from medxiaohe.recipe.settings import build
from medxiaohe.tasks import make, named
from medxiaohe.types import HELD_OUT, Sample, Task

if TYPE_CHECKING:
    from medxiaohe.data.curate import CurateSettings

Check = Callable[[Sample], tuple[str, str]]  # reason and detail, or two empty strings


# ---- first pass: held-out patients and studies ---------------------------------------------------


def units_shard(shard: shards.Shard, out: Path) -> dict[str, Any]:
    """Collect patients and studies of the rows of held-out splits (a job of medxiaohe.shards).

    Args:
        shard: a byte range of samples.jsonl.
        out: folder of the job; nothing is written there.

    Returns:
        {"patients", "studies"}: sorted ids, as `decontamination.unit` compares them.
    """
    result: dict[str, set[str]] = {"patients": set(), "studies": set()}
    for row in shards.rows(shard):
        sample = io.sample_from_json(row)
        if sample.split in HELD_OUT:
            if sample.patient_id:
                result["patients"].add(unit(sample.source, sample.patient_id))
            if sample.study_id:
                result["studies"].add(unit(sample.source, sample.study_id))
    return {name: sorted(ids) for name, ids in result.items()}


# ---- second pass: filters and decontamination ----------------------------------------------------


def check_shard(
    shard: shards.Shard, out: Path, settings: str, corpus: str, tree: str, units: str
) -> dict[str, Any]:
    """Normalise, filter and decontaminate the rows of one shard (a job of medxiaohe.shards).

    Args:
        shard: a byte range of samples.jsonl.
        out: folder for survivors.jsonl, their signatures (near_text.Signatures), gone.jsonl {row, id,
            source, reason, detail} and matches.jsonl.
        settings: CurateSettings as JSON.
        corpus: path of the corpus.
        tree: path of a built tree; "" for none.
        units: path of units.json: patients and studies of held-out splits.

    Returns:
        {"checked", "counts"}: number of test items by task, and of rows read and normalised.

    Raises:
        DataError: a task has no test items.
    """
    checker = _checker(settings, corpus, tree, units)
    signatures = near_text.Signatures(checker.settings.near_text, checker.lens)
    gone, matches, counts, offset = list[dict[str, Any]](), list[Any](), Counter[str](), 0

    def survivors() -> Iterator[Sample]:
        """Filter the rows of the shard.

        Yields:
            Samples for which there is no reason to drop them; signatures are taken of each.
        """
        nonlocal offset
        for number, row in enumerate(shards.rows(shard)):
            original = io.sample_from_json(row)
            sample = normalised(original) if checker.settings.normalise else original
            counts.update(read=1, normalised=int(sample is not original))
            reason, detail = checker.first_reason(sample, matches)
            if reason:
                gone.append(
                    {
                        "row": number,
                        "id": sample.id,
                        "source": sample.source,
                        "reason": reason,
                        "detail": detail,
                    }
                )
                continue
            signatures.add(sample, offset, number)
            yield sample
            offset += len(io.encoded(sample))

    io.write_jsonl(out / "survivors.jsonl", survivors())
    io.write_jsonl(out / "gone.jsonl", gone)
    io.write_jsonl(out / "matches.jsonl", matches)
    signatures.save(out)
    return {"checked": checker.items.checked, "counts": dict(counts)}


class _Checker:
    """Filters, held-out patients and test items that each row is compared with, loaded once in a process."""

    def __init__(self, settings: CurateSettings, corpus: Path, tree: Path | None, units: Path):
        self.settings, self.lens = settings, Lens()
        self._filters = [(name, plugins.load("filters", name)) for name in settings.filters]
        results = [(item, make(item.task, tree, item.options, corpus)) for item in settings.against]
        self.items = TestItems(
            _items([task for _, task in results]),
            self.lens,
            {task.name for entry, task in results if not entry.words},
        )
        held_out = io.read_json(units)
        self._patients, self._studies = frozenset(held_out["patients"]), frozenset(held_out["studies"])

    def first_reason(self, sample: Sample, matches: list[Any]) -> tuple[str, str]:
        """Find the first reason to drop a row: held-out split, patient or study; a filter; a test item.

        Args:
            sample: the row, normalised if the settings say so.
            matches: where the match with a test item is appended.

        Returns:
            Reason and detail; two empty texts for a row that stays.
        """
        reason, detail = self._held_out(sample)
        if not reason:
            reason, detail = next(
                ((name, why) for name, keep in self._filters if (why := keep(sample))), ("", "")
            )
        if not reason and (match := self.items.find(sample)):
            matches.append(match)
            return match.reason, f"{match.how}: {match.item}"
        return reason, detail

    def _held_out(self, sample: Sample) -> tuple[str, str]:
        if sample.split in HELD_OUT:
            return "held_out_split", sample.split
        if sample.patient_id and unit(sample.source, sample.patient_id) in self._patients:
            return "held_out_patient", f"patient {sample.patient_id} is also in a held-out split"
        if sample.study_id and unit(sample.source, sample.study_id) in self._studies:
            return "held_out_study", f"study {sample.study_id} is also in a held-out split"
        return "", ""


@functools.lru_cache(maxsize=1)
def _checker(settings: str, corpus: str, tree: str, units: str) -> _Checker:
    from medxiaohe.data.curate import CurateSettings

    parsed = build(CurateSettings, json.loads(settings), "data.curate")
    return _Checker(parsed, Path(corpus), Path(tree) if tree else None, Path(units))


def _items(tasks: Sequence[Task]) -> Iterator[Sample]:
    for task in tasks:
        has_items = False
        for sample in track(task.samples("test"), f"test items of {task.name}"):
            has_items = True
            yield named(sample, task)
        if not has_items:
            raise DataError(f"task {task.name} has no test items to compare with")


# ---- third pass: proposed pairs ------------------------------------------------------------------


def compare_shard(
    shard: shards.Shard, out: Path, checked: Sequence[str], pairs: str, threshold: float
) -> dict[str, Any]:
    """Verify proposed pairs of near-duplicate texts (a job of medxiaohe.shards).

    Args:
        shard: the shard that the later row of each pair is in.
        out: folder for verdicts.jsonl: the pairs that are near-duplicates.
        checked: folders of `check_shard`, one a shard.
        pairs: folder with one file a shard: int64 numbers of the earlier and the later row.
        threshold: Jaccard index of word 5-grams, 0 to 1.

    Returns:
        {"verdicts": number of near-duplicates}.
    """
    import numpy as np

    path = Path(pairs) / f"{shard.number:06d}"
    proposed = (
        np.unique(np.fromfile(path, np.int64).reshape(-1, 2), axis=0)
        if path.is_file()
        else np.empty((0, 2), np.int64)
    )
    survivors = _kept(tuple(checked))
    verdicts = near_text.alike_texts(survivors.sample, proposed, threshold)
    return {"verdicts": io.write_jsonl(out / "verdicts.jsonl", verdicts)}


def pictures_shard(shard: shards.Shard, out: Path, checked: Sequence[str]) -> dict[str, Any]:
    """Compare the images of rows with the same words (a job of medxiaohe.shards).

    Args:
        shard: a byte range of groups.jsonl; each line is a group {"rows": [[row, shard, look], ...]}.
        out: folder for verdicts.jsonl: the rows whose images are near-duplicates.
        checked: folders of `check_shard`, one a shard.

    Returns:
        {"verdicts": number of near-duplicates}.
    """
    survivors, lens = _kept(tuple(checked)), Lens()
    verdicts = (
        picture
        for row in shards.rows(shard)
        for picture in near_text.alike_pictures(survivors, row["rows"], lens)
    )
    return {"verdicts": io.write_jsonl(out / "verdicts.jsonl", verdicts)}


@functools.lru_cache(maxsize=1)
def _kept(checked: tuple[str, ...]) -> near_text.Kept:
    return near_text.Kept([Path(folder) for folder in checked])


# ---- last pass: writing --------------------------------------------------------------------------


def write_shard(shard: shards.Shard, out: Path, checked: Sequence[str], verdicts: str) -> dict[str, Any]:
    """Write samples.jsonl without duplicates, and dropped.jsonl in the order of the corpus (a job of
    medxiaohe.shards).

    Args:
        shard: only its `number` is used.
        out: folder for the two files.
        checked: folders of `check_shard`, one a shard.
        verdicts: folder with one file of verdicts a shard that has duplicates.

    Returns:
        {"kept", "dropped", "coverage"}: number of rows written, of dropped ones by reason, and of samples
        that mention each entity.
    """
    survivors, folder = _kept(tuple(checked)), Path(checked[shard.number])
    path = Path(verdicts) / f"{shard.number:06d}.jsonl"
    copies = (
        {row["row"] - int(survivors.first[shard.number]): row for row in io.read_jsonl(path)}
        if path.is_file()
        else {}
    )
    gone, coverage = list(io.read_jsonl(folder / "gone.jsonl")), Counter[str]()
    rows = survivors.array(shard.number, "rows")

    def samples() -> Iterator[Sample]:
        """Leave out the rows that are duplicates; these are appended to `gone`.

        Yields:
            Samples in the order of the corpus.
        """
        for number, sample in enumerate(io.read_samples(folder / "survivors.jsonl")):
            if verdict := copies.get(number):
                detail = _detail(verdict, survivors)
                at = {"row": int(rows[number]), "id": sample.id, "source": sample.source}
                gone.append({**at, "reason": verdict["reason"], "detail": detail})
                continue
            coverage.update(sample.entities)
            yield sample

    num_kept = io.write_jsonl(out / "samples.jsonl", samples())
    gone.sort(key=lambda row: row["row"])
    io.write_jsonl(
        out / "dropped.jsonl", ({key: value for key, value in row.items() if key != "row"} for row in gone)
    )
    return {
        "kept": num_kept,
        "dropped": dict(Counter(row["reason"] for row in gone)),
        "coverage": dict(coverage),
    }


def _detail(verdict: dict[str, Any], survivors: near_text.Kept) -> str:
    original, value = survivors.sample(verdict["of"]).id, verdict["value"]
    if verdict["reason"] == "near_duplicate_text":
        return f"of {original}: {value:.0%} of the word 5-grams are shared"
    if verdict["reason"] == "near_duplicate_image":
        return f"of {original}: the same text, correlation of the images {value:.3f}"
    return f"of {original}"
