"""Speed of the log of traces, and how many forgeries and honest folders the verifier judges rightly.

python benchmarks/traces.py                    a minute or two on one core; needs the extras train and sign
python benchmarks/traces.py --only forgeries --bundles 5
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from trace_bundles import bundle, trace
from trace_forgeries import Forger, forgeries

from medxiaohe import traces
from medxiaohe.cli.trace_replay import pixels, replayed
from medxiaohe.traces.checkpoint import new_key
from medxiaohe.traces.verdict import Verdict


def speed(folder: Path, number: int) -> None:
    """Append and verify `number` traces; drawing them is not timed."""
    private, public = new_key("clinic")
    (folder / "pictures").mkdir(parents=True)
    # the tenth with 120 claims would hide the others: traces with a tool round and three claims each
    drawn = [trace(folder / "pictures", 7 * n) for n in range(number)]
    began = time.perf_counter()
    log = traces.Log(folder / "log", private)
    sealed = [traces.seal(one, log.secret) for one, _ in drawn]
    print(f"seal      {number / (time.perf_counter() - began):,.0f} traces/s")
    bare = [traces.Sealed(one.lines, one.openings, one.values) for one in sealed]
    for batch in (1, 100):
        log = traces.Log(folder / f"log{batch}", private)
        part = bare[: 100 if batch == 1 else number]
        began, worked = time.perf_counter(), time.process_time()
        for at in range(0, len(part), batch):
            log.append(part[at : at + batch])
        rate = len(part) / (time.perf_counter() - began)
        worked = len(part) / (time.process_time() - worked)
        print(
            f"append    {rate:,.0f} traces/s, {batch} a commit, each commit on disk (fsync) and signed;"
            f" {worked:,.0f} per second of CPU"
        )
    log = traces.Log(folder / "log", private)
    log.append(sealed, {name: data for _, documents in drawn for name, data in documents.items()})
    for name, more in (("intact + resolved", None), ("all levels", lambda one: replayed(one, folder))):
        began, worked = time.perf_counter(), time.process_time()
        found = traces.verify(folder / "log", public_key=public, pixels=pixels, replay=more)
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        print(
            f"verify    {found.traces:,} traces, {found.records:,} records in {seconds:.2f} s,"
            f" {worked:.2f} s of CPU: {name}, {len(found.problems)} problems"
        )


def check(folder: Path, public: str, since: Path | None = None) -> Verdict:
    return traces.verify(
        folder, public_key=public, since=since, pixels=pixels, replay=lambda one: replayed(one, folder)
    )


def forged(folder: Path, bundles: int) -> None:
    """Every kind of forgery on each of several honest folders."""
    done, missed = 0, []
    for n in range(bundles):
        private, public = new_key("clinic")
        first = 7 * n + (n % 3)
        honest = bundle(folder / f"honest{n}", [first, first + 1, first + 3], private)
        whole = check(honest, public)
        for kind in forgeries(honest):
            copy = folder / "copy"
            shutil.copytree(honest, copy)
            kind.do(Forger(copy, private))
            found = check(copy, public, honest / "checkpoint" if kind.kept else None)
            fewer = any(found.levels[k].checked < whole.levels[k].checked for k in ("intact", "resolved"))
            if not found.problems and not fewer:
                missed.append((n, kind.name))
            done += 1
            shutil.rmtree(copy)
    print(
        f"forgeries {done:,} ({done // bundles} kinds x {bundles} folders), missed {len(missed)} {missed[:5]}"
    )


def honest(folder: Path, number: int) -> None:
    """Folders of one trace each, of every kind that `trace_bundles` draws."""
    private, public = new_key("clinic")
    alarms = 0
    for n in range(number):
        made = bundle(folder / f"bundle{n}", [n], private)
        alarms += bool(check(made, public, made / "checkpoint").problems)
        shutil.rmtree(made)
    print(f"honest    {number:,} folders, false alarms {alarms}")


def memory(folder: Path, records: int) -> None:
    """The memory of a verification of many records, and of a million lines that are no trace."""
    (folder / "pictures").mkdir(parents=True)
    made, _ = trace(folder / "pictures", 7)
    log = traces.Log(folder / "log")
    sealed = traces.seal(made, log.secret)
    bare = traces.Sealed(sealed.lines, sealed.openings, sealed.values)
    for _ in range(records // len(bare.lines) // 100):
        log.append([bare] * 100)
    (folder / "lines").mkdir()
    (folder / "lines" / "log.jsonl").write_bytes((bare.lines[0] + b"\n") * 1_000_000)
    measure = (
        "import resource, sys\nfrom pathlib import Path\nfrom medxiaohe import traces\n"
        "found = traces.verify(Path(sys.argv[1]))\n"
        "print(f'{found.records:,} records, {len(found.problems)} problems,'"
        " f' {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB')"
    )
    for name in ("log", "lines"):
        done = subprocess.run(
            [sys.executable, "-c", measure, folder / name], capture_output=True, text=True, check=True
        )
        print(f"memory    {name}: {done.stdout.strip()}")


if __name__ == "__main__":
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--only", choices=("", "speed", "forgeries", "honest", "memory"), default="")
    options.add_argument("--traces", type=int, default=1000)
    options.add_argument("--bundles", type=int, default=3, help="folders for each kind of forgery")
    options.add_argument("--honest", type=int, default=1000)
    options.add_argument("--records", type=int, default=100_000, help="of the log whose memory is measured")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if given.only in ("", "speed"):
            speed(Path(scratch) / "speed", given.traces)
        if given.only in ("", "forgeries"):
            forged(Path(scratch) / "forged", given.bundles)
        if given.only in ("", "honest"):
            honest(Path(scratch) / "honest", given.honest)
        if given.only in ("", "memory"):
            memory(Path(scratch) / "memory", given.records)
