"""Stage data.deidentify: texts of sources that speak of patients lose what names them; their ids go, for the
splits are made by now.

samples.jsonl        the rows, names, dates, numbers and places of those of `sources` replaced by [NAME-1],
                     [DATE-1] (privacy/text.py)
redactions.json      {source: {rows, changed, spans {kind: number}}}; no value is repeated
contamination.json and coverage.json of what it was given: curate first, so that leaks are looked for in what
was said

Pictures are not looked at: a folder of images is cleaned by `medxiaohe deid` before it is read. Mentions that
are counted in characters go from `meta` where the text has changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import io, plugins, shards
from medxiaohe.data.coverage.row_accounts import settle
from medxiaohe.data.duplicates import contamination_record
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.privacy.text import Redactor
from medxiaohe.recipe.settings import HOW
from medxiaohe.types import Message, Sample

MENTIONS = "mentions"  # of meta


@dataclass(frozen=True)
class DeidentifySettings:
    sources: tuple[str, ...] = ()  # whose texts may name patients; () is every source
    shard_mb: Annotated[float, HOW] = 8.0
    workers: Annotated[int, HOW] = 1
    engine: Annotated[shards.Engine, HOW] = "local"

    def __post_init__(self) -> None:
        if self.shard_mb <= 0 or self.workers < 1:
            raise ConfigError("shard_mb must be more than 0 and workers at least 1")


def deidentify(settings: DeidentifySettings, out: Path, *, corpus: Path) -> dict[str, Any]:
    file = corpus / "samples.jsonl"
    if not file.is_file():
        raise DataError(f"{corpus} has no samples.jsonl: it must be the folder of data.read or data.curate")
    code = io.code.digest(__name__)
    work = io.scratch(out, [settings.sources, settings.shard_mb, io.content(file.parent, file.name), code])
    pieces = shards.split([file], max(1, int(settings.shard_mb * (1 << 20))))
    how: dict[str, Any] = {"workers": settings.workers, "engine": settings.engine, "label": "de-identify"}
    options = {"sources": list(settings.sources)}
    done = list(
        shards.run("medxiaohe.data.deidentify:deidentify_shard", pieces, work, options=options, **how)
    )
    shards.join([folder / "samples.jsonl" for folder, _ in done], out / "samples.jsonl")
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for folder, _ in done:
        for source, found in io.read_json(folder / "redactions.json").items():
            counts[source].update(found)
    _known(settings.sources, counts)
    report = {
        source: _as_told(found)
        for source, found in sorted(counts.items())
        if not settings.sources or source in settings.sources
    }
    io.write_json(out / "redactions.json", report)
    contamination_record.carry(corpus, out)
    if (corpus / "coverage.json").is_file():
        io.write_json(out / "coverage.json", io.read_json(corpus / "coverage.json"))
    num = sum(found["rows"] for found in counts.values())
    account = settle(
        "data.deidentify", read=num, written=sum(summary["written"] for _, summary in done), dropped={}
    )
    spans = Counter[str]()
    for one in report.values():
        spans.update(one["spans"])
    looked = sum(one["rows"] for one in report.values())
    changed = sum(one["changed"] for one in report.values())
    return {
        "rows": looked,
        "changed": changed,
        "spans": dict(spans.most_common()),
        "by_source": report,
        "account": account,
    }


def deidentify_shard(shard: shards.Shard, out: Path, sources: Collection[str]) -> dict[str, Any]:
    """The job of one shard (medxiaohe.shards)."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)

    def samples() -> Iterator[Sample]:
        for row in shards.rows(shard):
            sample = io.sample_from_json(row)
            counts[sample.source]["rows"] += 1
            yield (
                _without_people(sample, counts[sample.source])
                if not sources or sample.source in sources
                else sample
            )

    written = io.write_jsonl(out / "samples.jsonl", samples())
    io.write_json(out / "redactions.json", counts)
    return {"written": written}


def _without_people(sample: Sample, counts: Counter[str]) -> Sample:
    """One person has one number in all texts of a row."""
    redact, found = Redactor(), Counter[str]()

    def clean(text: str) -> str:
        done = redact(text)
        found.update(f"span:{span.kind}" for span in done.spans)
        return done.text

    messages = tuple(_message(message, clean) for message in sample.messages)
    choices = tuple(map(clean, sample.choices))
    target = clean(sample.target)
    counts.update(found)
    counts["changed"] += bool(found)
    meta = {key: value for key, value in sample.meta.items() if key != MENTIONS or not found}
    return replace(
        sample, messages=messages, choices=choices, target=target, meta=redact.value(meta),
        facts=redact.value(sample.facts),
        patient_id="", study_id="",
    )  # fmt: skip


def _message(message: Message, clean: Any) -> Message:
    return replace(
        message, parts=tuple(clean(part) if isinstance(part, str) else part for part in message.parts)
    )


def _as_told(found: Counter[str]) -> dict[str, Any]:
    spans = {
        key.removeprefix("span:"): number for key, number in found.most_common() if key.startswith("span:")
    }
    return {"rows": found["rows"], "changed": found["changed"], "spans": spans}


def _known(sources: Collection[str], counts: Collection[str]) -> None:
    for source in sources:
        if source not in counts:
            raise ConfigError(f"sources: no rows of a source {source!r}{plugins.nearest(source, counts)}")
