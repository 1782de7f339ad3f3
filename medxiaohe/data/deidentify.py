"""Stage data.deidentify: texts of sources that speak of patients lose what names them; their ids go, for the
splits are made by now.

samples.jsonl        the rows, names, dates, numbers and places of those of `sources` replaced by [NAME-1],
                     [DATE-1] (privacy/text.py)
redactions.json      {source: {rows, changed, spans {kind: number}}}; no value is repeated
contamination.json and coverage.json of its input: curate first, so that leaks are searched for in the
original texts

Arguments and results of tools, their evidence and data are redacted as texts are. Images are not changed: a
folder of images is de-identified by `medxiaohe deid` before it is read. Mentions, which are character
offsets, are removed where the text has changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import io, plugins, shards
from medxiaohe.data.sharding.stage import begin, check, rows_of
from medxiaohe.errors import ConfigError
from medxiaohe.privacy.text import Redactor
from medxiaohe.recipe.settings import HOW
from medxiaohe.types import Evidence, Message, Part, Sample, ToolCall, ToolResult

OF_PATIENTS = ("record", "prior", "turn")  # kinds of evidence that are cut from what is known of a patient


@dataclass(frozen=True)
class DeidentifySettings:
    sources: tuple[str, ...] = ()  # whose texts may name patients; () is every source
    shard_mb: Annotated[float, HOW] = 8.0
    workers: Annotated[int, HOW] = 1
    engine: Annotated[shards.Engine, HOW] = "local"

    def __post_init__(self) -> None:
        check(self)


def deidentify(settings: DeidentifySettings, out: Path, *, corpus: Path) -> dict[str, Any]:
    """Replace names, dates, numbers and places in texts, and remove ids of patients and studies.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        corpus: folder of a data stage.

    Returns:
        the summary of the stage: `rows`, `changed`, `spans`, `by_source`, `account`

    Raises:
        ConfigError: a source is not in the corpus.
    """
    file = rows_of(corpus)
    stage = begin(__name__, settings, out, inputs=[file])
    options = {"sources": list(settings.sources)}
    job = "medxiaohe.data.deidentify:deidentify_shard"
    done = stage.run(job, stage.split([file]), options=options, label="de-identify")
    stage.join([folder for folder, _ in done], "samples.jsonl")
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for folder, _ in done:
        for source, tally in io.read_json(folder / "redactions.json").items():
            counts[source].update(tally)
    _known(settings.sources, counts)
    report = {
        source: _as_told(tally)
        for source, tally in sorted(counts.items())
        if not settings.sources or source in settings.sources
    }
    io.write_json(out / "redactions.json", report)
    stage.carry(corpus)
    num = sum(tally["rows"] for tally in counts.values())
    written = sum(summary["written"] for _, summary in done)
    account = stage.settle(read=num, written=written, dropped={})
    spans = Counter[str]()
    for entry in report.values():
        spans.update(entry["spans"])
    looked = sum(item["rows"] for item in report.values())
    changed = sum(item["changed"] for item in report.values())
    return {
        "rows": looked,
        "changed": changed,
        "spans": dict(spans.most_common()),
        "by_source": report,
        "account": account,
    }


def deidentify_shard(shard: shards.Shard, out: Path, sources: Collection[str]) -> dict[str, Any]:
    """De-identify the rows of one shard (a job of medxiaohe.shards).

    Args:
        shard: a byte range of samples.jsonl.
        out: folder for samples.jsonl and redactions.json of the shard.
        sources: sources whose rows are de-identified; empty: all.

    Returns:
        {"written": number of rows}.
    """
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
    """De-identify a row; a person has the same number in all its texts."""
    redact, spans = Redactor(), Counter[str]()

    def clean(text: str) -> str:
        done = redact(text)
        spans.update(f"span:{span.kind}" for span in done.spans)
        return done.text

    def value(before: Any) -> Any:
        after = redact.value(before)
        spans["span:field"] += after != io.to_json(before)
        return after

    # one Redactor for the whole row, so that the numbers of names agree in all its texts
    messages = tuple(_message(message, clean, value) for message in sample.messages)
    choices = tuple(map(clean, sample.choices))
    target = clean(sample.target)
    counts.update(spans)
    counts["changed"] += bool(spans)
    noted = replace(sample.annotations, mentions=())
    annotations = io.annotations_from_json(redact.value(io.to_json(noted)))
    # mentions are character offsets: they hold only where no text has changed
    mentions = () if spans else sample.annotations.mentions
    return replace(
        sample, messages=messages, choices=choices, target=target, meta=redact.value(sample.meta),
        annotations=replace(annotations, mentions=mentions),
        provenance=io.provenance_from_json(redact.value(io.to_json(sample.provenance))),
        facts=redact.value(sample.facts),
        patient_id="", study_id="",
    )  # fmt: skip


def _message(message: Message, clean: Callable[[str], str], value: Callable[[Any], Any]) -> Message:
    """De-identify every text of a message: its parts, arguments and results of tools, and their evidence."""
    parts = tuple(_part(part, clean, value) for part in message.parts)
    return replace(message, parts=parts, error=clean(message.error))


def _part(part: Part, clean: Callable[[str], str], value: Callable[[Any], Any]) -> Part:
    if isinstance(part, str):
        return clean(part)
    if isinstance(part, ToolCall):
        return replace(part, arguments=value(part.arguments))
    if isinstance(part, ToolResult):
        parts = tuple(clean(item) if isinstance(item, str) else item for item in part.parts)
        evidence = tuple(_evidence(item, clean) for item in part.evidence)
        return replace(part, parts=parts, evidence=evidence, error=clean(part.error), data=value(part.data))
    return part


def _evidence(evidence: Evidence, clean: Callable[[str], str]) -> Evidence:
    """De-identify a piece of evidence; of a record also its id and source are redacted, and its date
    removed."""
    if evidence.kind in OF_PATIENTS:
        evidence = replace(evidence, id=clean(evidence.id), source=clean(evidence.source), date="", sha256="")
    return replace(evidence, text=clean(evidence.text))


def _as_told(counts: Counter[str]) -> dict[str, Any]:
    spans = {
        key.removeprefix("span:"): number for key, number in counts.most_common() if key.startswith("span:")
    }
    return {"rows": counts["rows"], "changed": counts["changed"], "spans": spans}


def _known(sources: Collection[str], counts: Collection[str]) -> None:
    for source in sources:
        if source not in counts:
            raise ConfigError(f"sources: no rows of a source {source!r}{plugins.nearest(source, counts)}")
