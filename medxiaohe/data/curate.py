"""Stage data.curate: what must not be trained on goes, and each row that goes has a reason.

Documents are put into one form; then, in this order: rows of held-out splits, and rows that share a patient
or study with one; filters; rows that give away a test item of a task named in `against`; exact duplicates;
near-duplicates. The first reason found is the one given. All of it is done over shards, by workers or on Ray,
to the same bytes, and goes on after a kill.

samples.jsonl, dropped.jsonl {id, source, reason, detail}, contamination.json (pairs side by side),
coverage.json
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from medxiaohe import io, plugins, shards
from medxiaohe.data.coverage.row_accounts import settle
from medxiaohe.data.duplicates import contamination_record, near_text
from medxiaohe.data.duplicates.near_text import Kept, Verdict
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.identity import plugin_code
from medxiaohe.recipe.settings import HOW

if TYPE_CHECKING:
    import numpy as np

JOBS = "medxiaohe.data.cleaning.curation:"
GROUP_BYTES = 1 << 16  # of a list of rows with the same words, compared as one job


@dataclass(frozen=True)
class Against:
    """A task whose test split must stay unseen; `held_out` is that of the corpus itself."""

    task: str
    options: dict[str, Any] = field(default_factory=dict)
    # false: by image, patient and study alone, for reports, of which the normal ones are alike
    words: bool = True


@dataclass(frozen=True)
class CurateSettings:
    against: tuple[Against, ...] = ()
    filters: tuple[str, ...] = ("too_short", "not_english", "repetitive", "retracted", "empty_answer")
    normalise: bool = True  # documents in one form first (data/cleaning/normalise.py)
    # Jaccard index of word 5-grams from which two texts are one; 0 looks for exact copies only
    near_text: float = 0.8
    shard_mb: Annotated[float, HOW] = 8.0
    workers: Annotated[int, HOW] = 1
    engine: Annotated[shards.Engine, HOW] = "local"

    def __post_init__(self) -> None:
        if self.near_text and not 0.5 <= self.near_text <= 1:
            raise ConfigError(f"near_text must be 0 (off) or between 0.5 and 1, not {self.near_text}")
        if self.shard_mb <= 0 or self.workers < 1:
            raise ConfigError("shard_mb must be more than 0 and workers at least 1")


def curate(settings: CurateSettings, out: Path, *, corpus: Path, tree: Path | None = None) -> dict[str, Any]:
    plugins.need("numpy", "PIL", why="data.curate")
    for name in settings.filters:  # a wrong name is found before the first row is read
        plugins.load("filters", name)
    file = corpus / "samples.jsonl"
    if not file.is_file():
        raise DataError(f"{corpus} has no samples.jsonl: it must be the folder of data.read or data.curate")
    work = _work(settings, out, file, tree)
    pieces = shards.split([file], max(1, int(settings.shard_mb * (1 << 20))))
    units = _held_out(settings, pieces, work)
    said = {key: value for key, value in io.to_json(settings).items() if key not in ("workers", "engine")}
    options = {
        "settings": json.dumps(said),
        "corpus": str(corpus.absolute()),
        "tree": str(tree.absolute()) if tree else "",
    }
    checks = list(
        _jobs(settings, "check_shard", pieces, work / "checked", {**options, "units": str(units)}, "curate")
    )
    checked = [folder for folder, _ in checks]
    _copies(settings, pieces, checked, work)
    more = {"checked": list(map(str, checked)), "verdicts": str(work / "verdicts")}
    written = list(_jobs(settings, "write_shard", pieces, work / "written", more, "write"))
    return _summary(settings, out, corpus, checks, written)


def _work(settings: CurateSettings, out: Path, file: Path, tree: Path | None) -> Path:
    """Unfinished work is good for the same rows, settings, code and test items, which the settings and the
    tree name."""
    key = {name: value for name, value in io.to_json(settings).items() if name not in ("workers", "engine")}
    code = [io.code.digest(__name__), *(plugin_code("filters", name) for name in settings.filters)]
    return io.scratch(out, [key, io.content(file.parent, file.name), io.digest(tree) if tree else "", code])


def _held_out(settings: CurateSettings, pieces: list[shards.Shard], work: Path) -> Path:
    found: dict[str, set[str]] = {"patients": set(), "studies": set()}
    for _, summary in _jobs(settings, "units_shard", pieces, work / "units", {}, "held out"):
        for name, ids in summary.items():
            found[name].update(ids)
    io.write_json(work / "units.json", found)
    return work / "units.json"


def _jobs(
    settings: CurateSettings,
    name: str,
    pieces: list[shards.Shard],
    work: Path,
    options: Mapping[str, Any],
    label: str,
) -> Iterator[tuple[Path, dict[str, Any]]]:
    how: dict[str, Any] = {"workers": settings.workers, "engine": settings.engine, "label": label}
    return shards.run(f"{JOBS}{name}", pieces, work, options=options, **how)


# ---- copies ------------------------------------------------------------------------------------------------
# ------------------


def _copies(settings: CurateSettings, pieces: list[shards.Shard], checked: list[Path], work: Path) -> None:
    """verdicts/SHARD.jsonl: the rows of each shard that are copies of earlier ones; exact ones first, for
    they need no comparison."""
    import numpy as np

    kept = Kept(checked)
    exact = near_text.copies(kept, work / "parts")
    gone = np.zeros(len(kept), bool)
    gone[exact[:, 0]] = True
    same = [Verdict(int(row), "exact_duplicate", int(of)) for row, of in exact]
    near = [*_near_texts(settings, pieces, kept, gone, work), *_near_pictures(settings, kept, gone, work)]
    shutil.rmtree(work / "verdicts", ignore_errors=True)
    ordered = sorted(chain(same, near), key=lambda verdict: verdict.row)
    for shard, found in groupby(ordered, key=lambda verdict: kept.where(verdict.row)[0]):
        io.write_jsonl(work / "verdicts" / f"{shard:06d}.jsonl", found)


def _near_texts(
    settings: CurateSettings, pieces: list[shards.Shard], kept: Kept, gone: np.ndarray, work: Path
) -> Iterator[Verdict]:
    if not settings.near_text:
        return
    folder, touched = work / "pairs", set[int]()
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed while it wrote them
    folder.mkdir()
    for pairs in near_text.proposals(kept, gone, work / "parts"):
        for shard, own in _by_shard(pairs, kept):
            touched.add(shard)
            with open(folder / f"{shard:06d}", "ab") as file:
                own.tofile(file)
    options = {"checked": list(map(str, kept.folders)), "pairs": str(folder), "threshold": settings.near_text}
    todo = [piece for piece in pieces if piece.number in touched]
    done = _jobs(settings, "compare_shard", todo, work / "compared", options, "near-duplicates")
    yield from near_text.resolved(_verdicts(folder for folder, _ in done))


def _near_pictures(settings: CurateSettings, kept: Kept, gone: np.ndarray, work: Path) -> Iterator[Verdict]:
    groups = work / "groups.jsonl"
    if not io.write_jsonl(
        groups, ({"rows": rows} for rows in near_text.same_words(kept, gone, work / "parts"))
    ):
        return
    options = {"checked": list(map(str, kept.folders))}
    done = _jobs(
        settings, "pictures_shard", shards.split([groups], GROUP_BYTES), work / "pictures", options, "images"
    )
    yield from _verdicts(folder for folder, _ in done)


def _verdicts(folders: Iterable[Path]) -> Iterator[Verdict]:
    for folder in folders:
        for row in io.read_jsonl(folder / "verdicts.jsonl"):
            yield Verdict(**row)


def _by_shard(pairs: np.ndarray, kept: Kept) -> Iterator[tuple[int, np.ndarray]]:
    """The pairs by the shard of their later row."""
    import numpy as np

    where = np.searchsorted(kept.first, pairs[:, 1], "right") - 1
    for shard in np.unique(where):
        yield int(shard), pairs[where == shard]


# ---- what came of it
# -----------------------------------------------------------------------------------------------------------


def _summary(
    settings: CurateSettings,
    out: Path,
    corpus: Path,
    checks: list[tuple[Path, dict[str, Any]]],
    written: list[tuple[Path, dict[str, Any]]],
) -> dict[str, Any]:
    counts, dropped, coverage = Counter[str](), Counter[str](), Counter[str]()
    for _, summary in checks:
        counts.update(summary["counts"])
    for _, summary in written:
        dropped.update(summary["dropped"])
        coverage.update(summary["coverage"])
    kept = sum(summary["kept"] for _, summary in written)
    account = settle("data.curate", read=counts["read"], written=kept, dropped=dropped)
    if not kept:
        raise DataError(
            f"nothing is left of {counts['read']} rows of {corpus}: dropped {dict(dropped.most_common())}"
        )
    for name in ("samples.jsonl", "dropped.jsonl"):
        shards.join([folder / name for folder, _ in written], out / name)
    matches = [match for folder, _ in checks for match in io.read_jsonl(folder / "matches.jsonl")]
    io.write_json(out / contamination_record.FILE, {"checked": checks[0][1]["checked"], "matches": matches})
    io.write_json(out / "coverage.json", dict(sorted(coverage.items())))
    summary = {"read": counts["read"], "kept": kept, "normalised": counts["normalised"]}
    return {
        **summary,
        "dropped": dict(dropped.most_common()),
        "contaminated": len(matches),
        "account": account,
    }
