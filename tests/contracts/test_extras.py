"""Every extra, and all of them together, can be installed: a resolver finds versions that go together."""

import contextlib
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_what_processors_need_comes_with_train_and_is_pinned_for_machines_without_a_gpu() -> None:
    from medxiaohe.models.families import family

    wanted = {package for one in family._table().values() for package in one.packages}
    named = {requirement.split("=")[0].split(">")[0] for requirement in EXTRAS["train"]}
    pinned = (ROOT / "constraints" / "cpu.txt").read_text(encoding="utf-8")
    assert wanted and wanted <= named
    assert all(f"\n{package}==" in pinned for package in wanted)


def pins() -> dict[str, Version]:
    """Name of a package -> the version that constraints/cpu.txt pins."""
    lines = (ROOT / "constraints" / "cpu.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line.split("#")[0].split(";")[0].strip().partition("==") for line in lines if "==" in line]
    return {canonicalize_name(name): Version(version) for name, _, version in pinned}


def wanted(
    requirements: Iterable[str], extras: frozenset[str], chain: str
) -> Iterator[tuple[str, Requirement]]:
    """Requirements that apply on this machine, each with what asks for it."""
    for text in requirements:
        requirement = Requirement(text)
        applies = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        )
        if applies:
            yield chain, requirement


@pytest.mark.parametrize("extra", EXTRAS)
def test_pinned_versions_satisfy_everything_that_an_extra_asks_for(extra: str) -> None:
    """Without a network: the requirements of the extra, and of every package that is installed here because
    of them, hold for the pinned versions, so that a resolver has at least this solution."""
    pinned, seen, wrong = pins(), set[tuple[str, frozenset[str]]](), []
    open_ones = list(wanted([*PROJECT["dependencies"], *EXTRAS[extra]], frozenset(), f"medxiaohe[{extra}]"))
    while open_ones:
        chain, requirement = open_ones.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name == "medxiaohe":
            more = [text for one in extras for text in EXTRAS[one]]
            open_ones += wanted(more, frozenset(), f"medxiaohe[{','.join(sorted(extras))}]")
            continue
        if name in pinned and not requirement.specifier.contains(pinned[name], prereleases=True):
            wrong.append(f"{chain} asks for {requirement}, and {pinned[name]} is pinned")
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        with contextlib.suppress(metadata.PackageNotFoundError):
            open_ones += wanted(metadata.requires(name) or [], extras, f"{chain} > {name}")
    assert not wrong, "\n".join(wrong)
    assert len(seen) >= len(EXTRAS[extra])


@pytest.mark.network
@pytest.mark.parametrize(
    "extras", [*((name,) for name in EXTRAS), ("fast", "vllm"), ("train", "ocr", "deid"), tuple(EXTRAS)]
)
def test_an_extra_resolves(extras: tuple[str, ...], tmp_path: Path) -> None:
    if shutil.which("uv") is None:
        pytest.skip("the resolver uv is not installed")
    named = [word for extra in extras for word in ("--extra", extra)]
    command = [
        "uv",
        "pip",
        "compile",
        "-q",
        str(ROOT / "pyproject.toml"),
        *named,
        "-o",
        str(tmp_path / "out.txt"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
