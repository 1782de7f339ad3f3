"""Set how many threads numeric libraries use: as many as this process may, and one for many small products.

A machine with 64 cores says 64 to a container that may use two of them. Libraries that believe it start 64
threads, which then wait for each other: a search over small matrices takes four times the processor time on
a busy machine. `fit` tells them what the scheduler allows, before or after they are loaded; `single` is for
work whose products are too small to be worth a second thread.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "OMP_NUM_THREADS"  # OpenMP, OpenBLAS and MKL read it when they are loaded
# of a child process that decodes, renders or does other small work
SINGLE = dict.fromkeys((VARIABLE, "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
UNLIMITED_V2, UNLIMITED_V1 = "max", -1


def fit() -> int:
    """Set the number of threads of numeric libraries to what this process may use; one that uses fewer is
    left alone.

    Sets OMP_NUM_THREADS, which libraries loaded later and child processes read, unless it is set.

    Returns:
        The number of threads.
    """
    count = allowed()
    os.environ.setdefault(VARIABLE, str(count))
    if "numpy" in sys.modules:
        import threadpoolctl

        for library in threadpoolctl.ThreadpoolController().lib_controllers:
            if library.num_threads > count:
                library.set_num_threads(count)
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() > count:
        torch.set_num_threads(count)
    return count


@contextmanager
def single() -> Iterator[None]:
    """Limit BLAS (numpy's matrix products) to one thread inside the block: for many small products, and in
    one of several workers.

    Yields:
        None. Threads of torch are not limited: the products of a model are large. Without numpy nothing
        changes.
    """
    if importlib.util.find_spec("numpy") is None:
        yield
        return
    import numpy  # noqa: F401  loaded now, so that its BLAS is among those that are limited
    import threadpoolctl

    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        yield


def allowed(root: Path = Path("/")) -> int:
    """Count the threads that can run at once: the least of OMP_NUM_THREADS, the cores of the affinity mask
    and the whole cores of the cgroup's quota.

    Args:
        root: folder with /proc and /sys, for tests.

    Returns:
        number of threads, at least 1.
    """
    setting = os.environ.get(VARIABLE, "").partition(",")[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cores(root)
    limits = [
        cores,
        *([int(quota)] if quota is not None else []),
        *([int(setting)] if setting.isdigit() else []),
    ]
    return max(1, min(limits))


def cgroup_cores(root: Path = Path("/")) -> float | None:
    """Read how many processor cores the cgroups of this process allow (version 1 or 2).

    Args:
        root: root of the file system, for tests.

    Returns:
        the smallest quota / period of its groups and those above, in cores; None without a limit or on a
        system without cgroups. In a container the path that /proc names may lie outside of what is
        mounted; the mounted root is then the container's own group.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    results: list[float] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in _mounts(root, controllers):
            for group in _and_above(mount, path):
                quota = _quota(group)
                if quota is not None:
                    results.append(quota)
    return min(results, default=None)


def _mounts(root: Path, controllers: str) -> list[Path]:
    """Where the hierarchy of some controllers is mounted; "" is version 2."""
    top = root / "sys/fs/cgroup"
    return (
        [top / name for name in dict.fromkeys((controllers, "cpu"))]
        if controllers
        else [top, top / "unified"]
    )


def _and_above(mount: Path, path: str) -> list[Path]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return [mount.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _quota(group: Path) -> float | None:
    """Read the limit of one group, in cores; None for no limit."""
    try:
        if (group / "cpu.max").is_file():
            quota, _, period = (group / "cpu.max").read_text(encoding="ascii").strip().partition(" ")
            return None if quota == UNLIMITED_V2 else int(quota) / int(period)
        limit = int((group / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        if limit == UNLIMITED_V1:
            return None
        return limit / int((group / "cpu.cfs_period_us").read_text(encoding="ascii"))
    except (OSError, ValueError, ZeroDivisionError):
        return None
