"""The wheel and the source distribution: built twice to the same bytes; the wheel has what a user without a
clone needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import medxiaohe

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "out", "__pycache__", ".*_cache", "*.pyc", "*.egg-info")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders, each with a wheel and a source distribution, built from two copies of the tree."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    folders = []
    for name in ("first", "second"):
        place = tmp_path_factory.mktemp(name)
        shutil.copytree(ROOT, place / "tree", ignore=LEFT_OUT)
        code = (
            "from hatchling.build import build_sdist, build_wheel;"
            f"build_wheel({str(place)!r}); build_sdist({str(place)!r})"
        )
        variables = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=place / "tree", env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        folders.append(place)
    return folders


def files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(place.iterdir()) if path.is_file()}


def test_two_builds_have_the_same_bytes(built: list[Path]) -> None:
    first, second = map(files, built)
    version = medxiaohe.__version__
    assert list(first) == [f"medxiaohe-{version}-py3-none-any.whl", f"medxiaohe-{version}.tar.gz"]
    assert first == second


def test_the_wheel_runs_without_a_clone(built: list[Path], tmp_path: Path) -> None:
    (wheel,) = built[0].glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path / "site")
    assert "medxiaohe/py.typed" in names and not any(name.startswith("tests") for name in names)
    assert wheel.stat().st_size < 20e6  # no data of others, no weights
    variables = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    (tmp_path / "empty").mkdir()
    for words in (["run", "quickstart", "--dry-run"], ["init", "own_data"], ["--version"]):
        done = subprocess.run(
            [sys.executable, "-m", "medxiaohe", *words],
            cwd=tmp_path / "empty", env=variables, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert str(ROOT) not in done.stdout + done.stderr


def test_the_source_distribution_has_tests_docs_and_constraints(built: list[Path]) -> None:
    (packed,) = built[0].glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = "Makefile docs/index.md constraints/cpu.txt tests/conftest.py NOTICE recipes/quickstart.yaml"
    for name in wanted.split():
        assert name in names, name
