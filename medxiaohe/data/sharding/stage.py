"""Run a stage over shards: the identity of its unfinished work, its jobs, and the records it hands on.

    stage = begin(__name__, settings, out, inputs=[corpus / "samples.jsonl", tree])
    pieces = stage.split([corpus / "samples.jsonl"])
    done = stage.run("medxiaohe.data.link:link_shard", pieces, options={...}, label="link")
    stage.join(done, "samples.jsonl")                     the shards' files, in order, as one
    stage.carry(corpus)                                   contamination.json and coverage.json
    return {..., "account": stage.settle(read=n, written=n, dropped={})}

A run that was killed resumes after its last finished shard while settings, inputs and code are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from medxiaohe import io, shards
from medxiaohe.data.coverage.row_accounts import settle
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe import carried
from medxiaohe.recipe.settings import decisive

MIB = 1 << 20
Done = Sequence[tuple[Path, dict[str, Any]]]  # folder and summary of each shard, in order


class Sharded(Protocol):
    """Settings of a stage over shards."""

    @property
    def workers(self) -> int:
        """Number of worker processes, at least 1.

        Returns:
            1: the jobs run in this process.
        """

    @property
    def engine(self) -> shards.Engine:
        """Where the jobs run.

        Returns:
            `local` (this machine) or `ray`.
        """


def check(settings: Sharded, size: str = "shard_mb") -> None:
    """Check the size of shards and the number of workers.

    Args:
        settings: of the stage.
        size: name of the setting with the size of a shard in MiB.

    Raises:
        ConfigError: the size is not above 0, or there is no worker.
    """
    if getattr(settings, size) <= 0 or settings.workers < 1:
        raise ConfigError(f"{size} must be more than 0 and workers at least 1")


def rows_of(folder: Path) -> Path:
    """Return the path of the samples.jsonl of a stage.

    Raises:
        DataError: the folder has none.
    """
    if not (folder / carried.ROWS).is_file():
        raise DataError(f"{folder} has no samples.jsonl: it must be the folder of data.read or data.curate")
    return folder / carried.ROWS


@dataclass(frozen=True)
class Stage:
    """One run of a stage over shards."""

    name: str  # such as "data.link"
    settings: Sharded
    out: Path  # the draft of its folder
    work: Path  # unfinished work, beside the draft

    def split(self, paths: Sequence[Path], *, bytes_each: int | None = None) -> list[shards.Shard]:
        """Divide files into shards, ranges of whole lines.

        Args:
            paths: JSON lines files, in the order of their rows.
            bytes_each: approximate size of a shard in bytes; None: the setting `shard_mb` (MiB; 8 where a
                stage has none).

        Returns:
            The shards, numbered from 0 in the order of the files; an empty file has none.
        """
        size = int(getattr(self.settings, "shard_mb", 8.0) * MIB) if bytes_each is None else bytes_each
        return shards.split(paths, max(1, size))

    def run(
        self,
        job: str,
        pieces: Sequence[shards.Shard],
        *,
        options: Mapping[str, Any],
        label: str,
        below: str = "",
    ) -> Done:
        """Do the jobs that are not done yet.

        Args:
            job: "module:function", called as function(shard, folder, **options) -> summary.
            pieces: the shards.
            options: of the function, the same for each shard.
            label: of the progress bar.
            below: folder of these jobs in the unfinished work, for a stage of several passes.

        Returns:
            Folder and summary of each shard, in order.

        Raises:
            StorageError: worker processes died repeatedly.
            MedError: any error of a job; the finished jobs are kept, and the next run resumes after them.
        """
        return list(self.iterate(job, pieces, options=options, label=label, below=below))

    def iterate(
        self, job: str, pieces: Sequence[shards.Shard], *, options: Mapping[str, Any], label: str, below: str
    ) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Do the jobs as `run` does, without collecting their summaries.

        Args:
            job: as in `run`, and so are `pieces`, `options`, `label` and `below`.

        Yields:
            Folder and summary of each shard, in order, once all jobs are done.
        """
        return shards.run(
            job,
            pieces,
            self.work / below,
            options=options,
            workers=self.settings.workers,
            engine=self.settings.engine,
            label=label,
        )

    def join(self, folders: Iterable[Path], *names: str) -> None:
        """Concatenate files of the same name in several folders into one file of the stage.

        Args:
            folders: of the shards, in order.
            names: of the files; each must be in every folder.
        """
        places = list(folders)
        for name in names:
            shards.join([folder / name for folder in places], self.out / name)

    def carry(self, source: Path | None, *, coverage: Mapping[str, int] | None = None) -> None:
        """Hand on the records of the rows that this stage was given.

        Args:
            source: folder of these rows; None where they come from no stage.
            coverage: number of rows that mention each entity; None where it is that of `source`.
        """
        if coverage is not None:
            io.write_json(self.out / carried.COVERAGE, dict(sorted(coverage.items())))
        for name in (carried.CONTAMINATION, *([carried.COVERAGE] if coverage is None else [])):
            if source is not None and (source / name).is_file():
                io.write_json(self.out / name, io.read_json(source / name))

    def settle(
        self, *, read: int, written: int, dropped: Mapping[str, int], dead: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """Check that every row is accounted for and print the account (data/coverage/row_accounts.py).

        Args:
            read: rows read.
            written: rows written.
            dropped: reason -> rows dropped.
            dead: reason -> rejected rows; None: none.

        Returns:
            The account, for the summary of the stage: `read`, `written`, `dropped`, `dead`.

        Raises:
            AssertionError: read is not written + dropped + dead.
        """
        return settle(self.name, read=read, written=written, dropped=dropped, dead=dead)


def begin(
    module: str, settings: Sharded, out: Path, *, inputs: Sequence[Any], code: Sequence[str] = ()
) -> Stage:
    """Open the unfinished work of a stage.

    Args:
        module: `__name__` of the stage, whose imports are its code.
        settings: those marked HOW do not count, except the size of shards, by which work is divided.
        out: the draft.
        inputs: a Path counts by its content, anything else by its JSON, None not at all.
        code: digests of plug-ins that settings name.

    Returns:
        The stage; its `work` folder is that of a former run if settings, inputs and code are the same, else
        empty.
    """
    sizes = [getattr(settings, size, None) for size in ("shard_mb", "part_mb")]
    results = [_content(item) if isinstance(item, Path) else item for item in inputs]
    key = [decisive(settings), sizes, results, io.code.digest(module), *code]
    return Stage(module.removeprefix("medxiaohe."), settings, out, io.scratch(out, key))


def _content(path: Path) -> str:
    return io.digest(path) if path.is_dir() else io.content(path.parent, path.name)
