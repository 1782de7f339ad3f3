"""What the data stages cost: MB/s of one core, scaling from one worker to two, memory at two sizes, and what
that means for 1 TB.

    python benchmarks/data_engine.py --tree out/tree/tree/1            figures in docs/results/data_engine.md

Rows are PubMed abstracts of the asset pubmed_2020 as JSON lines in files of a megabyte, each size twice the
abstracts of the former and none of them twice. Every stage runs as it does in a recipe, in a process of its
own, on what the stage before it left: data.read (chat_jsonl), data.link with and without rules, data.curate
(filters, test items of medqa and pubmedqa where there are any, exact and near duplicates), data.deidentify,
data.mixture.

rate     megabytes more over seconds of CPU more, from the small size to the large one: what a core does,
         start-up left out
start    seconds of CPU at size 0: index, vocabularies, test items; paid once by every worker
memory   the largest process, in MiB, at both sizes
scaling  from one worker to two, as the clock said: of the whole large size, start-up and all, and of the
         megabytes more alone, which is
         what counts for a large corpus. For a machine on which other work runs also by seconds of CPU, of the
         whole: those of one worker over those of the driver and half of those of its two workers; start-up is
         paid twice there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins
from medxiaohe.types import Sample

STAGES = ("read", "link", "link, names alone", "curate", "deidentify", "mixture")
# MB; cores of the cluster; share of the scaling from 1 to 2 that is assumed to hold
TERABYTE, CORES, KEPT = 1e6, 1000, 0.9
FILE_MB = 1.0


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--tree", type=Path, required=True, help="folder of an entity.build stage")
    options.add_argument(
        "--mb", type=float, default=3.0, help="of the small size; the large one has --times as much"
    )
    options.add_argument("--times", type=int, default=4)
    options.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    options.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="of the run with two workers"
    )
    options.add_argument("--one", nargs=3, help=argparse.SUPPRESS)  # stage, folder, workers
    chosen = options.parse_args()
    if chosen.one:
        one(chosen.one[0], Path(chosen.one[1]), int(chosen.one[2]), chosen.tree, chosen.engine)
        return
    with tempfile.TemporaryDirectory() as name:
        corpus(Path(name) / "first", 0.01)
        run("read", Path(name) / "first", 1, chosen)  # builds the index of the tree, which is kept
        sizes = [Path(name) / "small", Path(name) / "large"]
        mb = [
            corpus(folder, chosen.mb * factor)
            for folder, factor in zip(sizes, (1, chosen.times), strict=True)
        ]
        print(f"sizes: {mb[0]:.1f} and {mb[1]:.1f} MB; two workers: {chosen.engine}")
        print(
            f"{'stage':<18} {'rate MB/s':>9} {'start s':>8} {'1 -> 2, whole':>14} {'more':>6} {'by CPU':>7}"
            f" {'memory MiB':>14}",
            end="",
        )
        print(f" {'1 TB, core hours':>17} {f'hours on {CORES:,}':>15}")
        rates = [row for stage in chosen.stages if (row := measured(stage, sizes, mb, chosen))]
    rules = [rate for stage, rate in rates if stage != "link, names alone"]
    if len(rules) > 1:
        hours = sum(TERABYTE / rate for rate in rules) / 3600
        print(
            f"all stages, link with rules: {hours:,.0f} core hours for 1 TB; {hours / CORES / KEPT:,.1f} h on"
            f" {CORES:,} cores",
            end="",
        )
        print(f" if {KEPT:.0%} of them are kept busy")


def corpus(folder: Path, mb: float) -> float:
    """Chat rows in files of about a megabyte; megabytes of them."""
    read, written, number = plugins.load("readers", "pubmed_xml"), 0, 0
    (folder / "files").mkdir(parents=True)

    def rows() -> Iterator[dict[str, Any]]:
        for sample in read(assets.folder("pubmed_2020")):
            if isinstance(sample, Sample):
                yield {"id": sample.id, "text": sample.text, "license": "NLM terms of use for PubMed"}

    found = rows()
    while written < mb * 1e6:
        part, size = [], 0
        for row in found:
            part.append(row)
            size += len(io.encoded(row))
            if size >= min(FILE_MB * 1e6, mb * 1e6 - written):
                break
        if not part:
            raise SystemExit(
                f"the asset has {written / 1e6:.1f} MB of abstracts, fewer than {mb:.1f}: lower --mb or"
                " --times"
            )
        io.write_jsonl(folder / "files" / f"{number:04d}.jsonl", part)
        written, number = written + size, number + 1
    return written / 1e6


def measured(stage: str, sizes: list[Path], mb: list[float], chosen: argparse.Namespace) -> tuple[str, float]:
    alone = [run(stage, folder, 1, chosen) for folder in sizes]
    less, both = (run(stage, folder, 2, chosen) for folder in sizes)
    cpu = [one["cpu"] for one in alone]
    rate = (mb[1] - mb[0]) / max(1e-9, cpu[1] - cpu[0])
    start = max(0.0, cpu[0] - mb[0] / rate)
    hours = TERABYTE / rate / 3600
    memory = f"{alone[0]['memory']:.0f} -> {alone[1]['memory']:.0f}"
    clock, more = (
        alone[1]["wall"] / both["wall"],
        (alone[1]["wall"] - alone[0]["wall"]) / max(1e-9, both["wall"] - less["wall"]),
    )
    by_cpu = alone[1]["cpu"] / (both["driver"] + (both["cpu"] - both["driver"]) / 2)
    print(
        f"{stage:<18} {rate:>9.2f} {start:>8.1f} {clock:>13.2f}x {more:>5.2f}x {by_cpu:>6.2f}x {memory:>14}"
        f" {hours:>17,.0f}",
        end="",
    )
    print(f" {hours / CORES / KEPT:>15.2f}", flush=True)
    return stage, rate


def run(stage: str, folder: Path, workers: int, chosen: argparse.Namespace) -> dict[str, float]:
    command = [
        sys.executable,
        __file__,
        "--tree",
        str(chosen.tree),
        "--one",
        stage,
        str(folder),
        str(workers),
        "--engine",
        chosen.engine,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{stage}: {done.stderr[-800:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(stage: str, folder: Path, workers: int, tree: Path, engine: str) -> None:
    """Run a stage and print what it took; with one worker its output is the next one's input."""
    from medxiaohe.data.curate import Against, CurateSettings, curate
    from medxiaohe.data.deidentify import DeidentifySettings, deidentify
    from medxiaohe.data.link import LinkSettings, link
    from medxiaohe.data.mixture import MixtureSettings, mixture
    from medxiaohe.data.read import ReadSettings, Source, read

    how: dict[str, Any] = {"workers": workers, "engine": engine if workers > 1 else "local"}
    mb = 1.0  # of a shard: enough of them for two workers at these sizes
    tests = (Against("medqa"), Against("pubmedqa")) if "MEDXIAOHE_DATA" in os.environ else ()
    out = folder / (stage if workers == 1 else f"{stage} by {workers}")
    out.mkdir()
    start, before, own = time.perf_counter(), spent(), spent((resource.RUSAGE_SELF,))
    if stage == "read":
        source = Source(reader="chat_jsonl", path=str(folder / "files"), name="abstracts")
        read(ReadSettings((source,), part_mb=FILE_MB, **how), out, tree=tree)
    elif stage.startswith("link"):
        link(
            LinkSettings(rules="alone" not in stage, shard_mb=mb, **how),
            out,
            tree=tree,
            corpus=folder / "read",
        )
    elif stage == "curate":
        curate(CurateSettings(against=tests, shard_mb=mb, **how), out, corpus=folder / "read", tree=tree)
    elif stage == "deidentify":
        deidentify(DeidentifySettings(shard_mb=mb, **how), out, corpus=folder / "read")
    else:
        documents = sum(1 for _ in islice(open(folder / "read" / "samples.jsonl", "rb"), 10**9)) // 2
        mixture(
            MixtureSettings(documents=documents, temperature=4.0, shard_mb=mb, **how),
            out,
            data=folder / "read",
        )
    wall, cpu = time.perf_counter() - start, spent() - before
    largest = (
        max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        / 1024
    )
    driver = spent((resource.RUSAGE_SELF,)) - own
    print("\n" + json.dumps({"wall": wall, "cpu": cpu, "driver": driver, "memory": largest}))


def spent(whose: tuple[int, ...] = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) -> float:
    return sum(one.ru_utime + one.ru_stime for one in map(resource.getrusage, whose))


if __name__ == "__main__":
    main()
