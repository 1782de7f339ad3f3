"""Read every hostile case and say what each cost, as lines of JSON: seconds of CPU and the peak of memory,
children included."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import hostile_files

from medxiaohe import images, plugins
from medxiaohe.data.formats import sandbox
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import DataError

peaks: list[int] = []


def peak(pid: int | str) -> int:
    """MiB that were resident at most."""
    with open(f"/proc/{pid}/status") as file:
        return max((int(line.split()[1]) >> 10 for line in file if line.startswith("VmHWM")), default=0)


def spent(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(folder: Path) -> None:
    cpu = [0.0]
    stop = sandbox._Child.stop

    def watched(self: sandbox._Child) -> None:
        if self._process.poll() is None:
            peaks.append(peak(self._process.pid))
            cpu[0] += spent(self._process.pid)
        stop(self)

    sandbox._Child.stop = watched  # type: ignore[method-assign]
    if (maker := os.fork()) == 0:  # making them takes more memory than reading them may
        hostile_files.made(folder)
        os._exit(0)
    assert os.waitpid(maker, 0)[1] == 0
    for name, place in hostile_files.places(folder).items():
        reader, _, _ = hostile_files.CASES[name]
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        peaks.clear()
        cpu[0], before = 0.0, time.process_time()
        letters = good = 0
        for row in plugins.load("readers", reader)(place, **hostile_files.options(reader)):
            if isinstance(row, DeadLetter):
                letters += 1
                continue
            good += 1
            for image in row.images:
                try:
                    images.open_image(image) if not image.uri.startswith("data:") else None
                except DataError:
                    letters += 1
        here = time.process_time() - before
        for child in list(sandbox._children.values()):
            if child.alive:
                watched(child)
        sandbox._children.clear()
        row = {
            "name": name,
            "cpu": here + cpu[0],
            "mib": max([peak("self"), *peaks]),
            "letters": letters,
            "good": good,
        }
        print(json.dumps(row), flush=True)


main(Path(sys.argv[1]))
