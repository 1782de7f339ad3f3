"""Stage data.read: every source becomes Samples on disk, linked to the Medical Entity Tree, its images opened
once.

samples.jsonl   what was read; ids start with the name of their source
dead.jsonl      rejected rows, each with its location, the reason, a code, the hash of its bytes and
                their offset
                read = written + dropped + dead; dropped are rows of another split than the one asked for
coverage.json   how many samples mention each entity

A source is read as one part, or its files as several (read_parts.py), by worker processes or on Ray, to the
same bytes. A run that was killed resumes after the last finished part.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Annotated, Any

from medxiaohe import assets, images, io, plugins, shards
from medxiaohe.data.formats import embedded_images, files, pictures, read_parts
from medxiaohe.data.formats.files import digest_of, rejected
from medxiaohe.data.readers import DeadLetter
from medxiaohe.data.sharding.stage import begin, check
from medxiaohe.entity.linking.finder import Finder, finder
from medxiaohe.entity.linking.link import Mention
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.hub import data_commit
from medxiaohe.progress import track
from medxiaohe.recipe.identity import Reads, plugin_code
from medxiaohe.recipe.settings import HOW, InputPath, input_paths
from medxiaohe.tasks import make, named, reads
from medxiaohe.types import ImageRef, Message, Sample, Split

NOT_STATED = "not stated"  # the licence of rows whose source names none


@dataclass(frozen=True)
class Source:
    """A corpus: a reader and its path, or a task, whose training split is taken."""

    reader: str = ""
    task: str = ""
    path: InputPath = ""
    name: str = ""  # default: the name of the reader; a task's rows keep the task's name
    limit: int | None = None  # stop after this many samples
    split: Split = ""  # keep only this split of what a reader gives; "" keeps all
    license: str = ""  # for rows that state none
    # share of the patients (studies, rows) to hold out as test, for rows that state no split
    hold_out: float = 0.0
    hold_out_validation: float = 0.0  # the same as validation: for early stopping, never for a score
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.reader) == bool(self.task):
            raise ConfigError(
                f"a source needs a reader or a task, one of the two, not reader={self.reader!r} and"
                f" task={self.task!r}"
            )
        if self.task and (self.path or self.split or self.name):
            raise ConfigError(
                f"task {self.task!r} brings its own data, split and name: leave out path, split and name"
            )
        if self.reader and not self.path:
            raise ConfigError(
                f"reader {self.reader!r} needs a path: a file, a folder, asset:NAME or hub:ORG/NAME"
            )
        shares = (self.hold_out, self.hold_out_validation)
        if min(shares) < 0 or sum(shares) >= 1:
            raise ConfigError(
                "hold_out is a share from 0, and below 1 with hold_out_validation, not"
                f" {self.hold_out} and {self.hold_out_validation}"
            )
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, not {self.limit}; leave it out for all samples")

    @property
    def reader_name(self) -> str:
        """Name the reader: `hub` for paths on the hub, whatever the recipe reads otherwise, so that one line
        of a recipe changes the corpus.

        Returns:
            The name of a reader; "" for a task.
        """
        return "hub" if self.path.startswith("hub:") else self.reader

    @property
    def label(self) -> str:
        """Name the source in ids, counts and messages.

        Returns:
            `name`, or the part of the name of the reader or task behind its last colon.
        """
        return self.name or (self.reader or self.task).rpartition(":")[2]


@dataclass(frozen=True)
class ReadSettings:
    # what is read, one entry for each source: {reader, path, name, license, limit, hold_out}
    sources: tuple[Source, ...]
    # of the files of a folder that are read together, where a reader says that they are apart
    part_mb: float = 64.0
    workers: Annotated[int, HOW] = 1
    engine: Annotated[shards.Engine, HOW] = "local"

    def __post_init__(self) -> None:
        check(self, "part_mb")
        if not self.sources:
            raise ConfigError("sources is empty: name at least one reader or task")
        for label, count in Counter(source.label for source in self.sources).items():
            if count > 1:
                raise ConfigError(f"{count} sources are called {label!r}: give each its own `name:`")

    def reads(self, inputs: Mapping[str, Path]) -> Reads:
        """List the data that the result depends on, for the identity of the run (recipe/identity.py).

        Args:
            inputs: name of an input (`tree`) -> its folder.

        Returns:
            Digests of the training data of sources that are tasks, and commits of those on the hub.
        """
        data = Reads()
        for source in self.sources:
            if source.path.startswith("hub:"):
                data |= Reads({source.path: _commit(source)})
            elif source.task:
                data |= reads(source.task, source.options, split="train", tree=inputs.get("tree"))
        return data


def read(settings: ReadSettings, out: Path, *, tree: Path | None = None) -> dict[str, Any]:
    """Read all sources; without a tree the samples have no entities.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        tree: folder of a built tree; None: samples have no entities.

    Returns:
        the summary of the stage: `read`, `written`, `dropped`, `dead`, `sources`, `mentions`,
        `entities_covered`

    Raises:
        ConfigError: an unknown reader, task or option.
        DataError: a source cannot be read, or none of its rows.
    """
    for source in settings.sources:  # a wrong name is found before the first row is read
        plugins.load("readers" if source.reader else "tasks", source.reader_name or source.task)
    parts = read_parts.parts(settings.sources, int(settings.part_mb * (1 << 20)))
    linker = _finder(tree)  # the index is built once, before the workers look for it
    stage = begin(__name__, settings, out, inputs=_inputs(settings, parts, tree), code=_readers(settings))
    options = {
        "sources": [_pinned(source) for source in settings.sources],
        "parts": [[part.source, list(part.files)] for part in parts],
        "tree": str(tree.absolute()) if tree else "",
    }
    places = [shards.Shard(number, "", 0, part.num_bytes) for number, part in enumerate(parts)]
    done = stage.run("medxiaohe.data.read:read_part", places, options=options, label="read")
    tally = read_parts.together(stage, settings.sources, parts, done, lambda text: len(linker.find(text)))
    for label, reason in tally.reasons.items():
        if not sum(tally.sources[label][kind] for kind in ("documents", "instructions")):
            source = next(source for source in settings.sources if source.label == label)
            raise DataError(_nothing(source, tally.sources[label]["read"], reason))
    account = stage.settle(read=tally.read, written=tally.written, dropped=tally.dropped, dead=tally.dead)
    return {
        "read": tally.read,
        "written": tally.written,
        "dropped": sum(tally.dropped.values()),
        "dead": sum(tally.dead.values()),
        "dropped_by": dict(sorted(tally.dropped.items())),
        "dead_by": dict(sorted(tally.dead.items())),
        "sources": tally.sources,
        "mentions": tally.mentions,
        "entities_covered": len(tally.coverage),
        "account": account,
    }


def _inputs(settings: ReadSettings, parts: Sequence[read_parts.Part], tree: Path | None) -> list[Any]:
    """List what unfinished work depends on: the tree, the data of tasks, size and time of each input file."""
    divided = [[part.source, part.files] for part in parts]
    stamps = {path: files.stamp(path) for path in sorted(set(input_paths(settings)))}
    tasks = settings.reads({"tree": tree} if tree else {})
    return [divided, tree / "entities.jsonl" if tree else None, stamps, tasks]


def _commit(source: Source) -> str:
    """Look up the commit of a source on the hub."""
    return data_commit(source.path.removeprefix("hub:"), source.options.get("revision"))


def _pinned(source: Source) -> Source:
    """Pin a source on the hub to one commit, so that all workers read the same, whatever is pushed
    meanwhile."""
    if not source.path.startswith("hub:"):
        return source
    return replace(source, options={**source.options, "revision": _commit(source)})


def _readers(settings: ReadSettings) -> list[str]:
    names = {source.reader_name for source in settings.sources if source.reader}
    return [plugin_code("readers", name) for name in sorted(names)]


def read_part(
    shard: shards.Shard,
    out: Path,
    sources: Sequence[Source],
    parts: Sequence[tuple[int, list[str]]],
    tree: str,
) -> dict[str, Any]:
    """Read one part: a source, or some of its files (read_parts.py); a job of medxiaohe.shards.

    Args:
        shard: its `number` is the part's place in `parts`.
        out: folder for samples.jsonl, dead.jsonl and ids.bin (read_parts.marks) of the part.
        sources: all sources of the stage.
        parts: for each part the number of its source and its files; no files: all of them.
        tree: path of a built tree; "": samples have no entities.

    Returns:
        Counts, licenses and coverage of the part, with the reason of its first rejected row.

    Raises:
        DataError: the source cannot be read, or its reader has APART and yet lists its files by itself.
        ConfigError: the reader has no option of a name in `source.options`.
    """
    number = parts[shard.number][0]
    source, tally = sources[number], _Tally()
    folder = Path(tree) if tree else None
    linker = _finder(folder)
    share = _share(parts, shard.number)
    token = files.SHARE.set(share)

    def fill(dead: IO[bytes]) -> int:
        def reject(letter: DeadLetter) -> None:
            row = {"source": source.label, **io.to_json(letter)}
            dead.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

        return io.write_jsonl(out / "samples.jsonl", _source_rows(source, folder, linker, tally, reject))

    try:
        written = int(io.write(out / "dead.jsonl", fill))
    finally:
        files.SHARE.reset(token)
    if share is not None and not share.listed:
        raise DataError(
            f"source {source.label}: the reader {source.reader} has APART but lists its files by itself, so"
            " each part would read all of them: list them with data.formats.files.files, or leave out APART"
        )
    summary = {
        name: getattr(tally, name) for name in ("counts", "dead", "dropped", "coverage", "mentions", "reason")
    }
    licenses = sorted(tally.licenses)
    io.write(out / "ids.bin", lambda file: file.write(read_parts.marks(tally.ids)))
    return {**summary, "licenses": licenses, "written": written}


class _NoNames:
    """The linker of a run without a tree: no text mentions an entity."""

    def find(self, text: str) -> list[Mention]:
        return []


def _finder(tree: Path | None) -> Finder:
    return finder(tree) if tree else _NoNames()


def _share(parts: Sequence[tuple[int, list[str]]], number: int) -> files.Share | None:
    """Select the files of a part; None for a source that is read in one part."""
    source, names = parts[number]
    if not names:
        return None
    beside = [i for i, (owner, _) in enumerate(parts) if owner == source]
    others = (name for i in beside if i != number for name in parts[i][1])
    return files.Share(frozenset(map(Path, names)), frozenset(map(Path, others)), number == beside[0])


class _Tally:
    """Counts of one part so far."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {"read": 0, "documents": 0, "instructions": 0, "images": 0}
        self.licenses: set[str] = set()
        self.reason = ""  # why the first row is dead
        self.dead: Counter[str] = Counter()  # by code
        self.dropped: Counter[str] = Counter()  # by reason
        self.coverage: Counter[str] = Counter()
        self.mentions = 0
        self.ids: set[str] = set()
        # before and after: a picture with twenty questions is opened once
        self.opened: dict[ImageRef, ImageRef] = {}


def _source_rows(
    source: Source, tree: Path | None, linker: Finder, tally: _Tally, reject: Callable[[DeadLetter], None]
) -> Iterator[Sample]:
    counts = tally.counts
    for item in track(_items(source, tree), f"read {source.label}", source.limit):
        counts["read"] += 1
        if isinstance(item, Sample) and source.split and item.split != source.split:
            tally.dropped["another split"] += 1
            continue
        try:
            if isinstance(item, DeadLetter):
                raise _Dead(item)
            sample = _checked(item, source, tally)
        except _Dead as dead:
            tally.dead[dead.letter.code] += 1
            tally.reason = tally.reason or f"{dead.letter.where}: {dead.letter.reason}"
            reject(dead.letter)
            continue
        sample = _linked(sample, linker, tally)
        counts["documents" if sample.is_document else "instructions"] += 1
        counts["images"] += len(sample.images)
        tally.licenses.add(sample.license)
        yield sample
        if source.limit and counts["documents"] + counts["instructions"] >= source.limit:
            break


class _Dead(Exception):
    def __init__(self, letter: DeadLetter):
        self.letter = letter


def _items(source: Source, tree: Path | None) -> Iterator[Sample | DeadLetter]:
    if source.task:
        task = make(source.task, tree, source.options)
        for sample in task.samples("train"):
            yield replace(named(sample, task), split="train")
        return
    reader = plugins.load("readers", source.reader_name)
    parameters = inspect.signature(reader).parameters
    for key in source.options:
        if key not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            raise ConfigError(
                f"source {source.label}: reader {source.reader} has no option"
                f" {key!r}{plugins.nearest(key, parameters)}"
            )
    yield from reader(_place(source.path), **source.options)


def _place(path: str) -> Path:
    """Resolve the path that a reader gets; `hub:ORG/NAME` is left for the reader `hub`."""
    return assets.folder(path.removeprefix("asset:")) if path.startswith("asset:") else Path(path)


def _checked(sample: Sample, source: Source, tally: _Tally) -> Sample:
    """Check a sample and open its images; `_Dead` when its id is taken, it is empty or an image is bad."""
    label = source.label
    id = sample.id if sample.id.startswith(f"{label}/") else f"{label}/{sample.id}"
    if id in tally.ids:
        raise _Dead(DeadLetter(sample.id, "a sample with this id was read before", "duplicate"))
    if not sample.messages or (not sample.text.strip() and not sample.images):
        raise _Dead(DeadLetter(sample.id, "the sample is empty", "empty"))
    if reason := io.unwritable(sample):
        raise _Dead(DeadLetter(sample.id, reason, "surrogate" if "surrogate" in reason else "not_finite"))
    try:
        messages = tuple(_opened(message, tally.opened) for message in sample.messages)
    except DataError as error:
        raise _Dead(_of_image(sample, error)) from error
    tally.ids.add(id)
    license = sample.license or source.license or NOT_STATED
    split = sample.split or _split(sample, source)
    return replace(
        sample,
        id=id,
        messages=messages,
        source=sample.source if source.task else label,
        license=license,
        split=split,
    )


def _of_image(sample: Sample, error: DataError) -> DeadLetter:
    """Convert the error of an image to a rejected row with the hash of the image's bytes."""
    letter = rejected(sample.id, error)
    if letter.code == "row":
        reason = letter.reason
        code = (
            "missing"
            if reason.startswith("no such image")
            else "changed"
            if "changed since it was read" in reason
            else "image"
        )
        letter = replace(letter, code=code, offset=0)
    named = [image.uri for image in sample.images if image.uri in str(error)]
    return replace(letter, sha256=digest_of(Path(named[0]))) if named else letter


def _split(sample: Sample, source: Source) -> Split:
    """Draw the split of a row that states none by its patient, study or id, so that none of these is in two
    splits.
    """
    if not source.hold_out and not source.hold_out_validation:
        return ""
    unit = sample.patient_id or sample.study_id or sample.id
    drawn = io.unit_interval("hold_out", source.label, unit)
    if drawn < source.hold_out:
        return "test"
    return "validation" if drawn < source.hold_out + source.hold_out_validation else "train"


def _opened(message: Message, opened: dict[ImageRef, ImageRef]) -> Message:
    return replace(
        message, parts=tuple(_image(p, opened) if isinstance(p, ImageRef) else p for p in message.parts)
    )


def _image(image: ImageRef, opened: dict[ImageRef, ImageRef]) -> ImageRef:
    """Decode an image once, and complete its reference with the absolute path and the digest of its file."""
    if image.uri.startswith("data:"):
        image = replace(image, uri=embedded_images.unpacked(image.uri))
    if image not in opened:
        file = images.ref(Path(image.uri).expanduser().absolute())
        checked = replace(image, uri=file.uri, sha256=image.sha256 or file.sha256)
        pictures.check(checked)
        opened[image] = checked
    return opened[image]


def _linked(sample: Sample, linker: Finder, tally: _Tally) -> Sample:
    mentioned = [mention.entity for mention in linker.find(sample.text)]
    entities = tuple(dict.fromkeys((*sample.entities, *mentioned)))
    tally.mentions += len(mentioned)
    tally.coverage.update(entities)
    return replace(sample, entities=entities)


def _nothing(source: Source, num_read: int, reason: str) -> str:
    location = f" in {source.path}" if source.path else ""
    if num_read and reason:
        return f"source {source.label}: all {num_read} rows{location} are unusable; the first, {reason}"
    return f"source {source.label}: no samples{location}" + (
        f" of split {source.split}" if source.split else ""
    )
