"""Stage data.curate: what must not be trained on goes, and each row that goes has a reason.

Documents are normalised; then rows are dropped in this order: rows of held-out splits, and rows that share a
patient or study with one; filters; rows that give away a test item of a task named in `against`; exact
duplicates; near-duplicates. The first reason is recorded. Shards are processed by workers or on Ray, to the
same bytes, and a killed run resumes.

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
from medxiaohe.data.duplicates import contamination_record, near_text
from medxiaohe.data.duplicates.near_text import Kept, Verdict
from medxiaohe.data.sharding.stage import Done, Stage, begin, check, rows_of
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.identity import Reads, plugin_code
from medxiaohe.recipe.settings import HOW
from medxiaohe.tasks import reads

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
    # names of `medxiaohe list filters`, in this order
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
        check(self)

    def reads(self, inputs: Mapping[str, Path]) -> Reads:
        """List the test data that the result depends on, for the identity of the run (recipe/identity.py).

        Args:
            inputs: name of an input (`corpus`, `tree`) -> its folder.

        Returns:
            Digests of the data and code of the tasks in `against`.
        """
        result = Reads()
        for item in self.against:
            folders = {"tree": inputs.get("tree"), "data": inputs.get("corpus")}
            result |= reads(item.task, item.options, split="test", **folders)
        return result


def curate(settings: CurateSettings, out: Path, *, corpus: Path, tree: Path | None = None) -> dict[str, Any]:
    """Filter, deduplicate and decontaminate a corpus.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        corpus: folder of data.read, data.link or data.classify.
        tree: folder of a built tree, for coverage.json.

    Returns:
        the summary of the stage: `read`, `kept`, `dropped` {reason: n}, `contaminated`, `normalised`

    Raises:
        DataError: no row is left, or a task has no test items to compare with.
    """
    plugins.need("numpy", "PIL", why="data.curate")
    for name in settings.filters:  # a wrong name is found before the first row is read
        plugins.load("filters", name)
    file = rows_of(corpus)
    filters = [plugin_code("filters", name) for name in settings.filters]
    tasks = settings.reads({"corpus": corpus, **({"tree": tree} if tree else {})})
    stage = begin(__name__, settings, out, inputs=[file, tree, tasks], code=filters)
    pieces = stage.split([file])
    # passes over the shards: held-out patients and studies; filters and decontamination; duplicates; output
    units = _held_out(stage, pieces)
    content = {key: value for key, value in io.to_json(settings).items() if key not in ("workers", "engine")}
    options = {
        "settings": json.dumps(content),
        "corpus": str(corpus.absolute()),
        "tree": str(tree.absolute()) if tree else "",
        "units": str(units),
    }
    checks = stage.run(f"{JOBS}check_shard", pieces, options=options, label="curate", below="checked")
    checked = [folder for folder, _ in checks]
    _copies(stage, settings.near_text, pieces, checked)
    write_options = {"checked": list(map(str, checked)), "verdicts": str(stage.work / "verdicts")}
    written = stage.run(f"{JOBS}write_shard", pieces, options=write_options, label="write", below="written")
    return _summary(stage, corpus, checks, written)


def _held_out(stage: Stage, pieces: list[shards.Shard]) -> Path:
    result: dict[str, set[str]] = {"patients": set(), "studies": set()}
    done = stage.run(f"{JOBS}units_shard", pieces, options={}, label="held out", below="units")
    for _, summary in done:
        for name, ids in summary.items():
            result[name].update(ids)
    io.write_json(stage.work / "units.json", result)
    return stage.work / "units.json"


# ---- duplicates ----------------------------------------------------------------------------------


def _copies(stage: Stage, threshold: float, pieces: list[shards.Shard], checked: list[Path]) -> None:
    """Write verdicts/SHARD.jsonl: the rows of each shard that are copies of earlier ones; exact copies first,
    for they need no comparison.
    """
    import numpy as np

    survivors, work = Kept(checked), stage.work
    # a row that is an exact duplicate is not compared any more
    exact = near_text.copies(survivors, work / "parts")
    gone = np.zeros(len(survivors), bool)
    gone[exact[:, 0]] = True
    same = [Verdict(int(row), "exact_duplicate", int(original)) for row, original in exact]
    near = [*_near_texts(stage, threshold, pieces, survivors, gone), *_near_pictures(stage, survivors, gone)]
    shutil.rmtree(work / "verdicts", ignore_errors=True)
    ordered = sorted(chain(same, near), key=lambda verdict: verdict.row)
    for shard, group in groupby(ordered, key=lambda verdict: survivors.where(verdict.row)[0]):
        io.write_jsonl(work / "verdicts" / f"{shard:06d}.jsonl", group)


def _near_texts(
    stage: Stage, threshold: float, pieces: list[shards.Shard], survivors: Kept, gone: np.ndarray
) -> Iterator[Verdict]:
    if not threshold:
        return
    folder, touched = stage.work / "pairs", set[int]()
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed while it wrote them
    folder.mkdir()
    for pairs in near_text.proposals(survivors, gone, stage.work / "parts"):
        for shard, own in _by_shard(pairs, survivors):
            touched.add(shard)
            with open(folder / f"{shard:06d}", "ab") as file:
                own.tofile(file)
    options = {"checked": list(map(str, survivors.folders)), "pairs": str(folder), "threshold": threshold}
    todo = [piece for piece in pieces if piece.number in touched]
    done = stage.iterate(
        f"{JOBS}compare_shard", todo, options=options, label="near-duplicates", below="compared"
    )
    yield from near_text.resolved(_verdicts(folder for folder, _ in done))


def _near_pictures(stage: Stage, survivors: Kept, gone: np.ndarray) -> Iterator[Verdict]:
    groups = stage.work / "groups.jsonl"
    same = near_text.same_words(survivors, gone, stage.work / "parts")
    if not io.write_jsonl(groups, ({"rows": rows} for rows in same)):
        return
    options = {"checked": list(map(str, survivors.folders))}
    pieces = stage.split([groups], bytes_each=GROUP_BYTES)
    done = stage.iterate(f"{JOBS}pictures_shard", pieces, options=options, label="images", below="pictures")
    yield from _verdicts(folder for folder, _ in done)


def _verdicts(folders: Iterable[Path]) -> Iterator[Verdict]:
    for folder in folders:
        for row in io.read_jsonl(folder / "verdicts.jsonl"):
            yield Verdict(**row)


def _by_shard(pairs: np.ndarray, survivors: Kept) -> Iterator[tuple[int, np.ndarray]]:
    """Group pairs by the shard of their later row."""
    import numpy as np

    location = np.searchsorted(survivors.first, pairs[:, 1], "right") - 1
    for shard in np.unique(location):
        yield int(shard), pairs[location == shard]


# ---- summary -------------------------------------------------------------------------------------


def _summary(stage: Stage, corpus: Path, checks: Done, written: Done) -> dict[str, Any]:
    counts, dropped, coverage = Counter[str](), Counter[str](), Counter[str]()
    for _, summary in checks:
        counts.update(summary["counts"])
    for _, summary in written:
        dropped.update(summary["dropped"])
        coverage.update(summary["coverage"])
    num_kept = sum(summary["kept"] for _, summary in written)
    account = stage.settle(read=counts["read"], written=num_kept, dropped=dropped)
    if not num_kept:
        raise DataError(
            f"nothing is left of {counts['read']} rows of {corpus}: dropped {dict(dropped.most_common())}"
        )
    stage.join([folder for folder, _ in written], "samples.jsonl", "dropped.jsonl")
    matches = [match for folder, _ in checks for match in io.read_jsonl(folder / "matches.jsonl")]
    stage.carry(None, coverage=coverage)
    contamination_record.add(corpus, stage.out, checks[0][1]["checked"], matches)
    return {
        "read": counts["read"],
        "kept": num_kept,
        "normalised": counts["normalised"],
        "dropped": dict(dropped.most_common()),
        "contaminated": len(matches),
        "account": account,
    }
