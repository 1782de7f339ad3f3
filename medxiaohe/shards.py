"""Run jobs over shards of JSONL files: in this process, in worker processes, or on a Ray cluster, with
identical results.

    shards = split([corpus / "samples.jsonl"])
    for folder, summary in run("medxiaohe.data.link:link_shard", shards, work, options={...}, workers=4):
        ...                                    # in the order of the shards

A shard is a range of whole lines, so what a shard is depends on the files alone. Its job is `function(shard,
out, **options) -> summary`, named as "module:function": it writes files into the folder `out`, which is
published whole below `work`. After a kill, of a worker or of everything, the jobs whose folders are published
and intact are not done again.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import pickle
import shutil
import signal
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from medxiaohe import io, threads
from medxiaohe.errors import DataError, MedError, MissingExtra, StorageError, UsageError
from medxiaohe.progress import Meter

Engine = Literal["local", "ray"]
SHARD_BYTES = 8 << 20
PIECE = 1 << 20  # bytes of a line read at once while looking for its end
MAX_DEATHS = 3  # of workers at one job
LEAVE_SECONDS = 5.0  # for a worker without work to leave by itself


@dataclass(frozen=True)
class Shard:
    """A range of whole lines of a file, in bytes."""

    number: int
    path: str
    start: int  # bytes; the first of a line
    end: int

    @property
    def num_bytes(self) -> int:
        """Size of the shard.

        Returns:
            bytes of the file from its first line to its last.
        """
        return self.end - self.start


def split(paths: Sequence[Path], shard_bytes: int = SHARD_BYTES) -> list[Shard]:
    """Split files into shards: ranges of whole lines of at least `shard_bytes` bytes, the last one of a file
    excepted.

    Args:
        paths: files of lines, in the order in which the shards are numbered.
        shard_bytes: bytes after which the next line end closes a shard.

    Returns:
        shards numbered from 0; an empty file has none.

    Raises:
        UsageError: `shard_bytes` is below 1.
        StorageError: a file cannot be read.
    """
    if shard_bytes < 1:
        raise UsageError(f"a shard must have at least 1 byte, not {shard_bytes}")
    shards = list[Shard]()
    for path in paths:
        start = 0
        for end in _ends(path, shard_bytes):
            shards.append(Shard(len(shards), str(path), start, end))
            start = end
    return shards


def rows(shard: Shard) -> Iterator[dict[str, Any]]:
    """Read the JSON rows of a shard; blank lines are passed over.

    Returns:
        an iterator over the rows, in the order of the file.

    Raises:
        DataError: a line is longer than io.MAX_LINE_BYTES, not UTF-8 or not a JSON object; the message
            has the file and the byte (while iterating).
    """
    return (row for _, row in placed(shard))


def placed(shard: Shard) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the JSON rows of a shard with their byte offsets in the file.

    Yields:
        (byte at which the line starts, row), in the order of the file.

    Raises:
        DataError: as for `rows`.
    """
    at = shard.start
    with io.storage(Path(shard.path)), open(shard.path, "rb") as file:
        file.seek(at)
        while at < shard.end and (line := file.readline(io.MAX_LINE_BYTES + 1)):
            if len(line) > io.MAX_LINE_BYTES:
                raise DataError(
                    f"{shard.path}: the line at byte {at} is longer than {io.MAX_LINE_BYTES >> 20} MiB: split"
                    " the row"
                )
            if line.strip():
                try:
                    row = io.parse_row(line.decode("utf-8-sig" if at == 0 else "utf-8"))
                except ValueError as error:  # UnicodeDecodeError and DataError are some
                    raise DataError(f"{shard.path}: the line at byte {at}: {error}") from error
                yield at, row
            at += len(line)


def join(parts: Sequence[Path], path: Path) -> None:
    """Concatenate files into one, written whole or not at all.

    Args:
        parts: files, in order.
        path: the file to write; replaced where it exists.

    Raises:
        StorageError: the disk is full or read-only.
    """

    def fill(out: IO[bytes]) -> None:
        for part in parts:
            with open(part, "rb") as source:
                shutil.copyfileobj(source, out, 1 << 20)

    io.write(path, fill)


def run(
    function: str,
    shards: Sequence[Shard],
    work: Path,
    *,
    options: Mapping[str, Any] | None = None,
    workers: int = 1,
    engine: Engine = "local",
    label: str = "shards",
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Run a job for every shard that has no published result yet, and iterate over all results in order.

    Args:
        function: "module:function", called as `function(shard, out, **options)` and returning a summary.
        shards: what to work on; results come in this order.
        work: folder below which each job publishes its folder, `NNNNNN` by the number of the shard.
        options: keyword arguments of the function, the same for each shard.
        workers: processes of the local engine; with 1 the jobs run in this process. On Ray the cluster
            decides.
        engine: "local", or "ray" for the cluster of RAY_ADDRESS.
        label: first words of the progress line.

    Yields:
        (folder, summary) of each shard. Folders of finished jobs stay after an error, so a next call
        resumes.

    Raises:
        UsageError: `workers` is below 1.
        StorageError: worker processes died MAX_DEATHS times at one shard.
        MissingExtra: the engine is "ray" and Ray is not installed.
        Exception: what a job raises.
    """
    if workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    todo = [shard for shard in shards if not _is_done(_place(work, shard))]
    meter = Meter(label, sum(shard.num_bytes for shard in todo))
    do = {"local": _local if workers > 1 and len(todo) > 1 else _here, "ray": _ray}[engine]
    try:
        for shard in do(function, todo, work, dict(options or {}), workers):
            meter.advance(shard.num_bytes)
    finally:
        meter.close()
    for shard in shards:
        path = _place(work, shard)
        yield path, io.read_record(path)["summary"]


def job(function: str, shard: Shard, work: Path, options: Mapping[str, Any]) -> Shard:
    """Run the job of one shard with single-threaded matrix products, and publish its folder with the summary.

    Args:
        function: "module:function".
        work: folder of all jobs.
        options: keyword arguments of the function.

    Returns:
        the same shard, once its folder is published.

    Raises:
        Exception: what the function raises; nothing is published then.
    """
    summary = dict[str, Any]()
    with threads.single(), io.publish(_place(work, shard), record=lambda: {"summary": summary}) as draft:
        summary.update(_named(function)(shard, draft, **options))
    return shard


# ---- engines -----------------------------------------------------------------------------------------

Options = dict[str, Any]


def _here(
    function: str, todo: Sequence[Shard], work: Path, options: Options, workers: int
) -> Iterator[Shard]:
    for shard in todo:
        yield job(function, shard, work, options)


def _local(
    function: str, todo: Sequence[Shard], work: Path, options: Options, workers: int
) -> Iterator[Shard]:
    """Run jobs in worker processes, each with a pipe of its own: one that dies, even while it starts, closes
    only its own pipe, and its job is given to a new worker.
    """
    import multiprocessing.connection

    queue, deaths = deque(todo), Counter[int]()
    crew, leaving = list[_Worker](), list[_Worker]()
    try:
        while queue or crew:
            while queue and len(crew) < workers:
                share = max(1, threads.allowed() // workers)
                crew.append(_Worker(function, work, options, queue.popleft(), share))
            multiprocessing.connection.wait([end for worker in crew for end in worker.ends])
            for worker in list(crew):
                shard, answer = worker.shard, worker.answer()
                if answer == "busy":
                    continue
                if answer == "dead" and not _is_done(_place(work, shard)):
                    deaths[shard.number] += 1
                    if deaths[shard.number] == MAX_DEATHS:
                        raise StorageError(
                            f"worker processes died {MAX_DEATHS} times (out of memory?), at {shard.path} from"
                            f" byte {shard.start}: use fewer workers"
                        )
                    queue.appendleft(shard)
                if answer == "done" and queue:
                    worker.give(queue.popleft())
                else:
                    worker.leave()
                    crew.remove(worker)
                    leaving.append(worker)
                if shard not in queue:  # done, or published before its worker died
                    yield shard
        for worker in leaving:
            worker.end(LEAVE_SECONDS)
    finally:
        for worker in (*crew, *leaving):
            worker.end()


class _Worker:
    """A worker process, started by spawn (a fork would copy locks that threads hold), and its pipe.

    Nothing is shared with other workers: no queue, whose lock a killed process would keep.
    """

    def __init__(self, function: str, work: Path, options: Options, shard: Shard, num_threads: int):
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        # no options here: `start` waits until they are written, and a process that was killed reads nothing
        self._process = context.Process(target=_serve, args=(far_end, num_threads), daemon=True)
        self._process.start()
        far_end.close()  # so that its death closes the pipe
        self._send((function, work, options))
        self.give(shard)

    @property
    def ends(self) -> list[Any]:
        """Handles for `multiprocessing.connection.wait`: ready after an answer or when the process is dead.

        Returns:
            the pipe and the sentinel of the process.
        """
        return [self._pipe, self._process.sentinel]

    def give(self, shard: Shard) -> None:
        """Send the worker its next shard."""
        self.shard = shard
        self._send(shard)

    def _send(self, message: Any) -> None:
        with contextlib.suppress(OSError):  # dead: `answer` says so
            self._pipe.send(message)

    def answer(self) -> Literal["done", "dead", "busy"]:
        """Read the state of the current job without waiting.

        Returns:
            "done", "busy", or "dead" where the process ended before it answered.

        Raises:
            Exception: what the job raised, with the traceback of the worker as its cause.
        """
        try:
            if not self._pipe.poll():
                return "busy" if self._process.is_alive() or self._pipe.poll() else "dead"
            error, trace = self._pipe.recv()
        except (EOFError, OSError):  # also in the middle of an answer
            return "dead"
        if error is not None:
            raise error from _InWorker(trace)
        return "done"

    def leave(self) -> None:
        """Close the pipe, upon which an idle worker goes."""
        self._pipe.close()

    def end(self, seconds: float = 0.0) -> None:
        """Give the process time to go by itself, then kill it."""
        self._pipe.close()
        self._process.join(seconds)
        self._process.kill()
        self._process.join()


class _InWorker(Exception):
    """Traceback of an error inside a worker."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _serve(pipe: Any, num_threads: int) -> None:
    """Run a worker: receive the function and its options, then one shard after the other until the pipe is
    closed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver hears it, and ends the workers
    _die_with_parent()
    os.environ[threads.VARIABLE] = str(num_threads)
    threads.fit()
    try:
        function, work, options = pipe.recv()
        while True:
            pipe.send(_answer(function, pipe.recv(), work, options))
    except (EOFError, OSError):
        return


def _answer(function: str, shard: Shard, work: Path, options: Options) -> tuple[Exception | None, str]:
    try:
        job(function, shard, work, options)
        return None, ""
    except Exception as error:
        trace = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an error that cannot be sent: its words can
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return error, trace


def _ray(function: str, todo: Sequence[Shard], work: Path, options: Options, workers: int) -> Iterator[Shard]:
    """Run jobs as tasks on the cluster of RAY_ADDRESS, or on this machine; every node sees the files under
    the same paths.
    """
    try:
        import ray  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise MissingExtra("engine: ray needs the package: pip install 'medxiaohe[ray]'") from error
    started = not ray.is_initialized()
    if started:
        local = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}
        ray.init(log_to_driver=False, configure_logging=False, **local)
    try:
        remote = ray.remote(max_retries=MAX_DEATHS)(_ray_job)
        queue, waiting = iter(todo), dict[Any, Shard]()
        ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        for shard in queue:
            waiting[remote.remote(function, shard, str(work.absolute()), options)] = shard
            if len(waiting) >= ahead:
                finished, _ = ray.wait(list(waiting))
                yield from _taken(ray, finished, waiting)
        while waiting:
            finished, _ = ray.wait(list(waiting))
            yield from _taken(ray, finished, waiting)
    finally:
        if started:
            ray.shutdown()


def _ray_job(function: str, shard: Shard, work: str, options: Options) -> MedError | None:
    """Run one job. Errors of medxiaohe are returned as values: Ray would wrap them into its own."""
    try:
        if not _is_done(_place(Path(work), shard)):  # a task that is tried again may have published
            job(function, shard, Path(work), options)
    except MedError as error:
        return error
    return None


def _taken(ray: Any, finished: Sequence[Any], waiting: dict[Any, Shard]) -> Iterator[Shard]:
    for reference in finished:
        try:
            error = ray.get(reference)
        except ray.exceptions.WorkerCrashedError as crash:
            shard = waiting[reference]
            raise StorageError(
                f"workers died {MAX_DEATHS} times (out of memory?) at {shard.path} from byte {shard.start}"
            ) from crash
        if error is not None:
            raise error
        yield waiting.pop(reference)


def _die_with_parent() -> None:
    """End this worker when its driver is killed: it must not write at the same time as the next run."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# ---- places ------------------------------------------------------------------------------------------


def _place(work: Path, shard: Shard) -> Path:
    return work / f"{shard.number:06d}"


def _is_done(folder: Path) -> bool:
    if not (folder / io.RECORD).is_file():
        return False
    with contextlib.suppress(DataError):
        io.verify(folder)
        return True
    return False


@functools.cache
def _named(function: str) -> Callable[..., Mapping[str, Any]]:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


def _ends(path: Path, shard_bytes: int) -> Iterator[int]:
    """Compute the ends of the shards of a file: the first line end after every `shard_bytes`."""
    with io.storage(path), open(path, "rb") as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at < size:
            file.seek(min(at + shard_bytes, size) - 1)
            while (part := file.readline(PIECE)) and not part.endswith(b"\n"):
                pass
            at = file.tell()
            yield at
