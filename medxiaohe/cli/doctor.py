"""`medxiaohe doctor`: check the installation and the machine; print what is missing and the command that
fixes it. Imports no heavy library."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import medxiaohe
from medxiaohe import threads
from medxiaohe.errors import ConfigError, MedError
from medxiaohe.progress import clock

REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*(?:;.*\bextra == ['\"]([a-z]+)['\"])?")
QUICKSTART_GIB = 8
HUB = "https://huggingface.co/api/models?limit=1"


@dataclass(frozen=True)
class Finding:
    """One check. `fix` is the command or the advice; a check that is not ok makes the exit code 1."""

    what: str
    value: str
    ok: bool = True
    fix: str = ""


def doctor(args: argparse.Namespace) -> int:
    """Check the installation: packages, extras, memory, disk, GPU, data; print what is missing and the fix
    (`doctor`).

    Args:
        args: `online` (also try the model hub), `licences`, `sbom` (a file for the bill of materials),
            `json`.

    Returns:
        exit code 0 if every check passes, else 1; 0 for `licences` and `sbom`.

    Raises:
        ConfigError: `licences` or `sbom` in a checkout that is not installed.
    """
    if args.licences or args.sbom:
        return _inventory(args)
    findings = [
        *_python(),
        *_extras(),
        *_torchvision(),
        *_families(),
        *_machine(),
        *_gpu(),
        *_folders(),
        _hub(args.online),
    ]
    if args.json:
        print(json.dumps([vars(f) for f in findings], ensure_ascii=False))
    else:
        for f in findings:
            print(f"{'  ' if f.ok else '! '}{f.what:<16} {f.value}{f'  ->  {f.fix}' if f.fix else ''}")
    return 0 if all(f.ok for f in findings) else 1


def _inventory(args: argparse.Namespace) -> int:
    """Print the installed packages or write them as a file."""
    from medxiaohe.cli import inventory

    packages = inventory.packages()
    if not packages:
        raise ConfigError(
            "medxiaohe is not installed here, so its requirements are unknown: pip install -e ."
        )
    if args.sbom:
        print(f"{args.sbom}: {inventory.write_sbom(args.sbom)} packages")
    if args.licences and args.json:
        print(json.dumps([vars(item) for item in packages], ensure_ascii=False))
    elif args.licences:
        print(inventory.licences())
    return 0


def _python() -> Iterator[Finding]:
    yield Finding("medxiaohe", f"{medxiaohe.__version__} ({Path(medxiaohe.__file__).parent})")
    yield Finding(
        "python",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        sys.version_info >= (3, 11),
    )
    core = requirements().get("", ())
    missing = [name for name in core if not version(name)]
    yield Finding("core", _versions(core), not missing, f"pip install {' '.join(missing)}" if missing else "")


def requirements() -> dict[str, tuple[str, ...]]:
    """Read the packages that medxiaohe and its extras require from the metadata of the installation.

    Returns:
        name of an extra -> its packages, those of the core under "", without the extra `all`; empty in a
        checkout that is not installed.
    """
    result: dict[str, dict[str, None]] = {}
    try:
        lines = metadata.requires("medxiaohe") or []
    except metadata.PackageNotFoundError:
        return {}
    for line in lines:
        if (match := REQUIREMENT.match(line)) and match[1] != "medxiaohe":
            result.setdefault(match[2] or "", {})[match[1]] = None
    result.pop("all", None)
    return {extra: tuple(names) for extra, names in result.items()}


def _extras() -> Iterator[Finding]:
    for extra, packages in sorted(requirements().items()):
        missing = [name for name in packages if not version(name)]
        fix = f"pip install 'medxiaohe[{extra}]'" if missing else ""
        if extra:
            yield Finding(f"extra {extra}", _versions(packages), fix=fix)
    for name, specifier, installed in _mismatches():
        yield Finding(
            name,
            f"{installed} is installed, medxiaohe is tested with {specifier}",
            False,
            f"pip install '{name}{specifier}'",
        )


def _torchvision() -> Iterator[Finding]:
    """Check that the compiled operators of torchvision load with this torch."""
    if version("torch") and version("torchvision"):
        from medxiaohe import torchvision_ops

        alone = torchvision_ops.declare()
        yield Finding(
            "torchvision",
            "its compiled part does not load with this torch; the transforms of processors work"
            if alone
            else "loads",
            fix="install torch and torchvision of one build: docs/gpu.md" if alone else "",
        )


def _families() -> Iterator[Finding]:
    """Check the packages that each model family needs besides the extra `train`."""
    from medxiaohe.models.families import family

    for item in family.known():
        missing = [name for name in item.packages if importlib.util.find_spec(name) is None]
        fix = f"pip install {' '.join(missing)}" if missing else ""
        needs = ", ".join(f"{name} {version(name) or 'missing'}" for name in item.packages)
        yield Finding(f"family {item.name}", needs or "needs no other package", fix=fix)


def _versions(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {version(name) or 'missing'}" for name in packages)


def version(package: str) -> str:
    """Look up the version of an installed package.

    Returns:
        the version, or "" if it is not installed.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _mismatches() -> Iterator[tuple[str, str, str]]:
    """List installed packages outside the version range that medxiaohe's metadata requires."""
    try:
        from packaging.requirements import Requirement

        requested = [Requirement(text) for text in metadata.requires("medxiaohe") or []]
    except (ImportError, metadata.PackageNotFoundError):
        return  # run from a checkout that is not installed: nothing to compare with
    for requirement in requested:
        installed = version(requirement.name)
        if (
            installed
            and requirement.name != "medxiaohe"
            and not requirement.specifier.contains(installed, prereleases=True)
        ):
            yield requirement.name, str(requirement.specifier), installed


def _machine() -> Iterator[Finding]:
    total, free = memory_gib()
    enough = total >= QUICKSTART_GIB - 1
    fix = "" if enough else f"the quickstart needs {QUICKSTART_GIB} GiB"
    yield Finding("memory", f"{total:.1f} GiB, {free:.1f} GiB available", enough, fix)
    space = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Finding(
        "disk",
        f"{space:.1f} GiB free in {Path.cwd()}",
        space >= 3,
        "" if space >= 3 else "free some space: 3 GiB",
    )
    yield Finding("cores", f"{os.cpu_count()}, load {' '.join(f'{load:.1f}' for load in os.getloadavg())}")
    quota = threads.cgroup_cores()
    limit = "no container quota" if quota is None else f"a container quota of {quota:g} cores"
    yield Finding("threads", f"{threads.allowed()} of numeric libraries ({limit})")


def memory_gib() -> tuple[float, float]:
    """Measure the memory of this machine or container.

    Returns:
        total and available memory in GiB; a cgroup v2 limit caps both. Where /proc/meminfo is missing,
        all of the memory counts as available.
    """
    rows = {}
    if (meminfo := Path("/proc/meminfo")).is_file():
        rows = {
            line.split(":")[0]: int(line.split()[1]) / 2**20
            for line in meminfo.read_text().splitlines()
            if line.endswith("kB")
        }
    else:
        rows["MemTotal"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    total, free = rows["MemTotal"], rows.get("MemAvailable", rows["MemTotal"])
    # cgroup v2: bytes, or "max" for no limit
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text) / 2**30)
    return total, min(total, free)


def _gpu() -> Iterator[Finding]:
    torch = version("torch")
    build = "" if not torch else "; torch is a CPU build" if torch.endswith("+cpu") else f"; torch {torch}"
    tool = shutil.which("nvidia-smi")
    if not tool:
        yield Finding("gpu", f"none found (no nvidia-smi){build}: training runs on the CPU")
        return
    process = subprocess.run(
        [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    description = (
        "; ".join(process.stdout.split("\n")).strip("; ")
        if process.returncode == 0
        else f"nvidia-smi failed: {process.stderr.strip()[:200]}"
    )
    usable = not torch.endswith("+cpu")
    yield Finding(
        "gpu", description + build, fix="" if usable else "install the CUDA build of torch: docs/gpu.md"
    )


def _folders() -> Iterator[Finding]:
    from medxiaohe import assets

    try:
        rows = assets.status()
        here = [row for row in rows if row.folder]
        size = sum(row.bytes for row in here) / 2**20
        missing = "" if len(here) == len(rows) else "medxiaohe assets"
        yield Finding(
            "assets",
            f"{len(here)} of {len(rows)} here, {size:,.0f} MiB, in {assets.cache_root()}",
            fix=missing,
        )
    except MedError as error:
        yield Finding("assets", str(error), False)
    data = os.environ.get("MEDXIAOHE_DATA", "")
    exists = not data or Path(data).is_dir()
    yield Finding(
        "MEDXIAOHE_DATA",
        data or "not set: only recipes/data_pack.yaml needs it",
        exists,
        "" if exists else "no such folder",
    )


def _hub(online: bool) -> Finding:
    if not online:
        return Finding("hub", "not tried: the quickstart does not need it (medxiaohe doctor --online tries)")
    import time
    import urllib.request

    start = time.monotonic()
    try:
        with urllib.request.urlopen(HUB, timeout=10) as answer:
            answer.read(1)
        return Finding("hub", f"huggingface.co answers after {clock(time.monotonic() - start)}")
    except OSError as error:
        return Finding(
            "hub",
            f"huggingface.co cannot be reached: {error}",
            fix="use `model: starter` or a local folder in hub layout",
        )
