"""Read the replies of a task again with other parsers: a lenient one, and a model.

The strict reading is the score. The result of another parser is a row of its own name in `readings` of the
results, and `readings.jsonl` has every item that the parsers read differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.evals.running.judging import Tally
from medxiaohe.evals.statistics import clusters
from medxiaohe.models.asking import Client
from medxiaohe.plugins import nearest
from medxiaohe.scoring.judges import use
from medxiaohe.scoring.judges.model_judge import ModelJudge
from medxiaohe.scoring.judges.use import JudgeSettings
from medxiaohe.scoring.parsers import JUDGE, LENIENT, PARSERS, STRICT, asked, lenient
from medxiaohe.types import Score, Scorer

TOGETHER = 256  # replies of a batch


def check(parsers: Sequence[str], judge: JudgeSettings) -> None:
    """Check the names of parsers.

    Args:
        parsers: names.
        judge: settings of the model for the parser `judge`.

    Raises:
        ConfigError: a name is no parser, or `judge` has no model.
    """
    for name in parsers:
        if name not in PARSERS:
            raise ConfigError(f"no parser {name!r}{nearest(name, PARSERS)}; there are {', '.join(PARSERS)}")
    if JUDGE in parsers and judge.model in ("", use.RULES):
        raise ConfigError(
            "the parser `judge` asks a model what a reply says: name one as `judge`, by a URL with #NAME or"
            " file.py:function"
        )


def client(parsers: Sequence[str], judge: JudgeSettings) -> Client | None:
    """Client of the model of the parser `judge`, with its cache and budget.

    Args:
        parsers: names.
        judge: settings of the model.

    Returns:
        None if `judge` is not one of the parsers
    """
    instance = use.make(judge) if JUDGE in parsers else None
    return instance.client if isinstance(instance, ModelJudge) else None


def read_again(
    rows: Iterable[Mapping[str, Any]], scorer: Scorer, parsers: Sequence[str], who: Client | None, task: str
) -> Iterator[dict[str, Any]]:
    """Read the replies of rows by each parser.

    Args:
        rows: of an evaluation: {sample, trace, scores}.
        scorer: of the task, whose score is the strict reading.
        parsers: names.
        who: client of the parser `judge`; None: not used.
        task: name of the task.

    Yields:
        {task, id, cluster, strict, lenient, judge} for each row; each reading is {value, status, parsed},
        that of the judge has `asked` and `failed` too
    """
    rows = iter(rows)
    while batch := list(islice(rows, TOGETHER)):
        pairs = [(io.sample_from_json(row["sample"]), io.trace_from_json(row["trace"])) for row in batch]
        strict = [Score(**row["scores"][0]) for row in batch]
        readings = [{STRICT: _reading(score)} for score in strict]
        if LENIENT in parsers:
            for reading, pair, score in zip(readings, pairs, strict, strict=True):
                reading[LENIENT] = _reading(lenient.lenient(scorer, *pair, score) or score)
        if who is not None:
            outcome = asked.judged(who, scorer, pairs, strict)
            for reading, score, failed in zip(readings, outcome.scores, outcome.failed, strict=True):
                reading[JUDGE] = _reading(score) | {"asked": failed is not None, "failed": bool(failed)}
        for row, (sample, _), reading in zip(batch, pairs, readings, strict=True):
            yield {"task": task, "id": row["sample"]["id"], "cluster": clusters.of(sample), **reading}


def summary(rows: Iterable[Mapping[str, Any]], who: str = "") -> dict[str, dict[str, Any]]:
    """Mean, interval and counts of each parser.

    Args:
        rows: of `read_again`.
        who: name of the model of the parser `judge`.

    Returns:
        parser -> {n, mean, low, high, clusters, unparsed, refused, truncated, unjudged, more, right}, the
        strict one first. `more` is the number of replies it read that the strict parser did not, `right` that
        of right ones among them. The judge has `asked`, `failed` and `by` too.
    """
    tallies: dict[str, Tally] = {}
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for name in (reading for reading in PARSERS if reading in row):
            reading, count = row[name], counts.setdefault(name, {"more": 0, "right": 0})
            tallies.setdefault(name, Tally()).add(reading["value"], tuple(row["cluster"]), reading["status"])
            if reading["status"] == "judged" and row[STRICT]["status"] != "judged":
                count["more"] += 1
                count["right"] += reading["value"] == 1
            for key in ("asked", "failed") if name == JUDGE else ():
                count[key] = count.get(key, 0) + reading[key]
    return {
        name: tally.summary() | counts[name] | ({"by": who} if name == JUDGE else {})
        for name, tally in tallies.items()
    }


def differing(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows that parsers read differently, for a person to inspect.

    Args:
        rows: of `read_again`.

    Yields:
        rows without their cluster
    """
    for row in rows:
        if any(row[name]["parsed"] != row[STRICT]["parsed"] for name in PARSERS if name in row):
            yield {key: value for key, value in row.items() if key != "cluster"}


def written(
    path: Path, draws: Sequence[Path], scorer: Scorer, parsers: Sequence[str], who: Client | None, task: str
) -> Path | None:
    """Write the readings of every draw of a task.

    Args:
        path: of the file to write.
        draws: files of rows, one for each draw of answers.
        scorer: of the task.
        parsers: names.
        who: client of the parser `judge`; None: not used.
        task: name of the task.

    Returns:
        the path; None if the scorer has one reading only
    """
    if lenient.reader(scorer) is None:
        return None
    rows = (row for file in draws for row in io.read_jsonl(file) if row["scores"])
    io.write_jsonl(path, read_again(rows, scorer, parsers, who, task))
    return path


def _reading(score: Score) -> dict[str, Any]:
    return {"value": score.value, "status": score.status, "parsed": score.parsed}
