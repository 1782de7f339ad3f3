"""Stage data.link: where every text mentions entities of the tree, with offsets, reason and context, over
shards (MedXIAOHE).

samples.jsonl    the samples, `entities` extended by what they mention
mentions.jsonl   {id, mentions: [{start, end, entity, surface, score, reason, ...}]}; offsets count characters
                 of Sample.text
coverage.json    how many samples mention each entity

The texts are the `corpus` stage's, or JSONL files: of Samples, or of rows with `text` and perhaps `id`. The
shards are linked in this process, by worker processes or on Ray, to the same bytes; a run that was killed
resumes after the last finished shard.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

from medxiaohe import io, shards
from medxiaohe.data.sharding.stage import begin, check
from medxiaohe.entity.linking.finder import finder
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.settings import HOW, InputPath
from medxiaohe.types import Message, Sample

if TYPE_CHECKING:
    from medxiaohe.entity.linking.annotate import Annotation

TOGETHER = 64  # texts of a batch
PARTS = ("samples.jsonl", "mentions.jsonl")
ALWAYS = ("start", "end", "entity", "surface", "kind", "score", "reason")
WAYS = frozenset(("name", "synonym", "variant", "abbreviation", "coordination", "tagger"))
NOTED = ("negated", "uncertain", "ambiguous")


@dataclass(frozen=True)
class LinkSettings:
    path: InputPath = ""  # a .jsonl file or a folder of them, when there is no `corpus` stage
    # abbreviations, coordination, context, disambiguation; false: names alone, several times as fast
    rules: bool = True
    license: str = "not stated"  # of plain rows that state none
    shard_mb: float = 8.0
    workers: Annotated[int, HOW] = 1
    engine: Annotated[shards.Engine, HOW] = "local"

    def __post_init__(self) -> None:
        check(self)


def link(settings: LinkSettings, out: Path, *, tree: Path, corpus: Path | None = None) -> dict[str, Any]:
    """Link mentions of entities in every text.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        tree: folder of a built tree.
        corpus: folder of a data stage; None: `settings.path`.

    Returns:
        the summary of the stage: `samples`, `mentions`, `entities_covered`, `reasons`, `negated`,
        `uncertain`, `ambiguous`

    Raises:
        ConfigError: texts are given twice, or not at all.
        DataError: there is no text.
    """
    files = _files(settings, corpus)
    options = {"tree": str(tree.absolute()), "rules": settings.rules, "license": settings.license}
    texts = [corpus] if corpus else files
    stage = begin(__name__, settings, out, inputs=[options, *texts, tree])
    finder(tree)  # the index is built once, before the workers look for it
    pieces = stage.split(files)
    done = stage.run("medxiaohe.data.link:link_shard", pieces, options=options, label="link")
    stage.join([folder for folder, _ in done], *PARTS)
    coverage, counts, reasons = Counter[str](), Counter[str](), Counter[str]()
    for folder, summary in done:
        coverage.update(io.read_json(folder / "coverage.json"))
        counts.update(summary["counts"])
        reasons.update(summary["reasons"])
    if not counts["samples"]:
        raise DataError("there is no text to link: the files have no rows")
    stage.carry(corpus, coverage=coverage)
    written = sum(summary["written"] for _, summary in done)
    account = stage.settle(read=counts["samples"], written=written, dropped={})
    return {
        **dict(sorted(counts.items())),
        "entities_covered": len(coverage),
        "reasons": dict(sorted(reasons.items())),
        "account": account,
    }


def link_shard(shard: shards.Shard, out: Path, tree: str, rules: bool, license: str) -> dict[str, Any]:
    """Link the mentions of one shard (a job of medxiaohe.shards).

    Args:
        shard: a byte range of a file of Samples, or of rows with `text`.
        out: folder for samples.jsonl, mentions.jsonl and coverage.json of the shard.
        tree: path of a built tree.
        rules: with abbreviations, coordination, context and disambiguation; False: names alone.
        license: of rows that state none.

    Returns:
        {"counts", "reasons", "written"}: number of samples, mentions and flags; mentions by reason; rows
        written.

    Raises:
        DataError: a row has neither `messages` nor `text`.
    """
    find = _annotator(tree) if rules else _names(tree)
    coverage, counts, reasons = Counter[str](), Counter[str](), Counter[str]()

    def fill(mentions_file: IO[bytes]) -> int:
        """Link the texts in batches of TOGETHER; mentions and samples are written in step.

        Args:
            mentions_file: receives a row for each sample.

        Returns:
            Number of samples written.
        """

        def samples() -> Iterator[Sample]:
            every = _samples(shard, license)
            while batch := list(islice(every, TOGETHER)):
                for sample, mentions in zip(batch, find([sample.text for sample in batch]), strict=True):
                    entities = tuple(
                        dict.fromkeys((*sample.entities, *(m["entity"] for m in mentions if m["entity"])))
                    )
                    coverage.update(entities)
                    counts.update(samples=1, mentions=len(mentions))
                    counts.update(flag for m in mentions for flag in NOTED if m.get(flag))
                    reasons.update(_way(m["reason"]) for m in mentions if "reason" in m)
                    mentions_file.write(io.encoded({"id": sample.id, "mentions": mentions}))
                    yield replace(sample, entities=entities)

        return io.write_jsonl(out / "samples.jsonl", samples())

    written = int(io.write(out / "mentions.jsonl", fill))
    io.write_json(out / "coverage.json", coverage)
    return {"counts": dict(counts), "reasons": dict(reasons), "written": written}


@functools.cache
def _annotator(tree: str) -> Any:  # texts -> the mentions of each, as rows
    from medxiaohe.entity.linking.annotate import Annotator

    annotator = Annotator.of(Path(tree))
    return lambda texts: [
        [_row(item) for item in annotations] for annotations in annotator.annotate_batch(texts)
    ]


@functools.cache
def _names(tree: str) -> Any:
    linker = finder(Path(tree))
    fields = ("start", "end", "entity", "surface", "ambiguous")
    return lambda texts: [
        [{name: getattr(mention, name) for name in fields} for mention in linker.find(text)] for text in texts
    ]


def _way(reason: str) -> str:
    """Reduce the reason of a mention to how it was found."""
    first = reason.partition(" ")[0].rstrip(";,:")
    return first if first in WAYS else "with an abbreviation in it"


def _row(annotation: Annotation) -> dict[str, Any]:
    """Convert a mention to a row: the fields of ALWAYS, and others that are not at their default."""
    row = io.to_json(annotation)
    return {
        key: value
        for key, value in row.items()
        if key in ALWAYS or value not in (False, "", [], "patient", "current")
    }


def _samples(shard: shards.Shard, license: str) -> Iterator[Sample]:
    stem = Path(shard.path).stem
    for number, row in enumerate(shards.rows(shard)):
        if "messages" in row:
            yield io.sample_from_json(row)
        elif isinstance(row.get("text"), str):
            id = str(row.get("id", f"{stem}:{shard.start}+{number}"))
            yield Sample(id, (Message("document", (row["text"],)),), source=stem, license=license)
        else:
            location = f"{shard.path}: row {number + 1} after byte {shard.start}"
            raise DataError(
                f"{location} has neither `messages` nor `text`: make Samples of it with data.read"
            )


def _files(settings: LinkSettings, corpus: Path | None) -> list[Path]:
    if bool(settings.path) == (corpus is not None):
        raise ConfigError("give the texts once: `needs: corpus`, or the setting `path`")
    if corpus is not None:
        return [corpus / "samples.jsonl"]
    path = Path(settings.path)
    result = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    if not result:
        raise ConfigError(f"{path}: no .jsonl file in it: make Samples of other formats with data.read")
    return result
