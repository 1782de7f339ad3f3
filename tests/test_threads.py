"""Threads of numeric libraries: what the scheduler allows, and one for many small products."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medxiaohe import threads

ROOT = Path(__file__).parent.parent


def system(folder: Path, groups: str, **files: str) -> Path:
    """A made-up /proc and /sys: lines of /proc/self/cgroup, and files below /sys/fs/cgroup."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = folder / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_quota_of_cgroup_2_counts_and_so_does_one_of_a_group_above(tmp_path: Path) -> None:
    own = system(
        tmp_path / "a",
        "0::/pod/container\n",
        **{
            "pod/container/cpu.max": "max 100000\n",
            "pod/cpu.max": "150000 100000\n",
            "cpu.max": "max 100000",
        },
    )
    assert threads.cgroup_cores(own) == 1.5
    assert threads.allowed(own) == 1  # a second thread would wait half of the time
    free = system(tmp_path / "b", "0::/\n", **{"cpu.max": "max 100000\n"})
    assert threads.cgroup_cores(free) is None


def test_a_quota_of_cgroup_1_counts_also_where_the_path_is_that_of_the_host(tmp_path: Path) -> None:
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}
    own = system(tmp_path / "a", "5:memory:/x\n4:cpu,cpuacct:/docker/0123\n", **files)
    assert threads.cgroup_cores(own) == 2.0
    files["cpu,cpuacct/cpu.cfs_quota_us"] = "-1\n"
    assert threads.cgroup_cores(system(tmp_path / "b", "4:cpu,cpuacct:/\n", **files)) is None


def test_files_that_say_nothing_are_no_limit(tmp_path: Path) -> None:
    odd = system(tmp_path / "a", "0::/\nnonsense\n", **{"cpu.max": "a lot\n"})
    assert threads.cgroup_cores(odd) is None
    assert threads.cgroup_cores(tmp_path / "nothing") is None


def test_who_asks_for_fewer_threads_gets_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(threads.VARIABLE, "1")
    assert threads.allowed() == 1
    monkeypatch.setenv(threads.VARIABLE, "100000")
    assert threads.allowed() <= len(os.sched_getaffinity(0))


def in_a_new_process(code: str, **variables: str) -> dict[str, list[int]]:
    """What `code` prints, where neither the environment nor a library has chosen a number of threads."""
    env = {key: value for key, value in os.environ.items() if key not in threads.SINGLE}
    env |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), **variables}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    found: dict[str, list[int]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_job_of_a_shard_uses_one_thread_and_the_process_as_many_as_it_may(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n' * 4)
    code = f"""
import json, os
from pathlib import Path
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
import jobs_for_tests, numpy, threadpoolctl
from medxiaohe import shards, threads
if __name__ == "__main__":
    threads.fit()
    work = Path({str(tmp_path)!r}) / "work"
    pieces = shards.split([Path({str(tmp_path)!r}) / "rows.jsonl"], shard_bytes=18)
    job = "jobs_for_tests:threads_of_blas"
    apart = [summary for _, summary in shards.run(job, pieces, work / "a", workers=2)]
    here = [summary for _, summary in shards.run(job, pieces, work / "b")]
    after = [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
    print(json.dumps({{"after": after, "jobs": [n for one in apart + here for n in one["blas"]],
                       "workers": [one["openmp"] for one in apart], "number": [len(pieces)]}}))
"""
    found = in_a_new_process(code)
    assert found["number"] == [2]
    assert set(found["jobs"]) == {1} and set(found["after"]) == {2}
    assert found["workers"] == [1, 1]  # two cores for two workers


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_libraries_that_were_loaded_with_more_threads_get_fewer() -> None:
    pytest.importorskip("numpy")
    code = """
import json, os
import numpy, threadpoolctl
blas = lambda: [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
before = blas()
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
from medxiaohe import threads
print(json.dumps({"before": before, "count": [threads.fit()], "after": blas()}))
"""
    found = in_a_new_process(code)
    assert min(found["before"]) > 1 and found["count"] == [1] and set(found["after"]) == {1}


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_torch_uses_what_the_process_may_before_and_after_it_is_loaded() -> None:
    pytest.importorskip("torch")
    code = """
import json, os
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CPUS])
from medxiaohe import threads
FIRST
import torch
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
threads.fit()
print(json.dumps({"torch": [torch.get_num_threads()]}))
"""
    assert in_a_new_process(code.replace("CPUS", "2").replace("FIRST", ""))["torch"] == [1]
    assert in_a_new_process(code.replace("CPUS", "1").replace("FIRST", "threads.fit()"))["torch"] == [1]
