"""What an install brings: each package with its licence, a bill of materials, and a lock with hashes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from medxiaohe.cli import inventory, main

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "constraints/cpu.lock"
_spec = importlib.util.spec_from_file_location("lock", ROOT / "constraints/lock.py")
assert _spec is not None and _spec.loader is not None
lock = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lock)


@pytest.fixture(scope="module")
def packages() -> list[inventory.Package]:
    found = inventory.packages()
    if not found:
        pytest.skip("medxiaohe is not installed, so its requirements are unknown")
    return found


def about(**fields: str | list[str]) -> Message:
    made = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            made[name.replace("_", "-")] = value
    return made


def test_every_package_that_is_asked_for_and_installed_is_listed_once(
    packages: list[inventory.Package],
) -> None:
    names = [one.name for one in packages]
    assert names == sorted(set(names)) and {"pydantic", "pyyaml", "typing-extensions"} <= set(names)
    assert "medxiaohe" not in names and all(set(one.needs) <= set(names) for one in packages)
    assert all(one.version and one.license for one in packages)


def test_the_bill_of_materials_is_cyclonedx_and_the_same_each_time(
    packages: list[inventory.Package], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    for path in (first, second):
        assert main(["doctor", "--sbom", str(path)]) == 0
    assert f"{len(packages)} packages" in capsys.readouterr().out
    assert first.read_bytes() == second.read_bytes()
    bill = json.loads(first.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    refs = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert len(refs) == len(packages) + 1 and {one["ref"] for one in bill["dependencies"]} == refs
    assert all(set(one["dependsOn"]) <= refs for one in bill["dependencies"])
    assert all(one["purl"].startswith("pkg:pypi/") for one in bill["components"])
    for one in bill["components"]:
        (license,) = one["licenses"]
        assert license.get("expression") or license["license"]["name"]


def test_licences_are_a_table_and_json(
    packages: list[inventory.Package], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--licences"]) == 0
    said = capsys.readouterr().out
    assert all(one.name in said for one in packages)
    assert main(["doctor", "--licences", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(packages)


@pytest.mark.parametrize(
    ("fields", "license"),
    [
        ({"License_Expression": "MIT"}, "MIT"),
        ({"License_Expression": "MIT", "License": "other"}, "MIT"),
        ({"Classifier": ["License :: OSI Approved :: MIT License", "Topic :: X"]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved", "Topic :: X"], "License": "Apache-2.0"}, "Apache-2.0"),
        ({"License": "BSD\nRedistribution and use ..."}, "BSD"),
        ({"License": "UNKNOWN"}, inventory.UNKNOWN),
        ({}, inventory.UNKNOWN),
    ],
)
def test_a_licence_is_read_as_the_package_states_it(fields: dict[str, str], license: str) -> None:
    assert inventory.license_of(about(**fields)) == license


def locked() -> dict[str, str]:
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    marks = [re.fullmatch(r"([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line) for line in lines]
    assert lines and all(marks)
    return {mark[1]: mark[2] for mark in marks if mark}


def test_the_lock_has_one_hash_of_everything_that_is_asked_for_and_no_address() -> None:
    found = locked()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["train"], *extras["fast"], *extras["dev"]]
    names = {inventory.normal(re.match(r"[\w.-]+", line)[0]) for line in wanted}  # type: ignore[index]
    assert names - {"medxiaohe"} <= set(found)
    assert "://" not in LOCK.read_text() and "@" not in LOCK.read_text()


def wheel(folder: Path) -> Path:
    """The smallest package that pip takes."""
    file, about = folder / "tiny_lock-1.0-py3-none-any.whl", "tiny_lock-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("tiny_lock.py", "")
        packed.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-lock\nVersion: 1.0\n")
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", "")
    return file


@pytest.mark.parametrize("hashed", ["right", "changed", "none"])
def test_pip_takes_a_line_of_the_lock_only_with_the_hash_of_the_file(hashed: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(wheel(tmp_path).read_bytes()).hexdigest()
    if hashed == "changed":
        digest = "0" * 8 + digest[8:]
    package = {"metadata": {"name": "Tiny_Lock", "version": "1.0"}}
    (line,) = lock.locked(
        {"install": [{**package, "download_info": {"archive_info": {"hashes": {"sha256": digest}}}}]}
    )
    (tmp_path / "cpu.lock").write_text(line if hashed != "none" else line.partition(" ")[0])
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--require-hashes", "--no-deps"]
    command += ["--no-index", "--find-links", str(tmp_path), "-r", str(tmp_path / "cpu.lock")]
    done = subprocess.run([*command, "--disable-pip-version-check"], capture_output=True, text=True)
    if hashed == "right":
        assert done.returncode == 0 and "Would install tiny" in done.stdout, done.stderr
    else:
        assert done.returncode != 0 and re.search("DO NOT MATCH|Hashes are required", done.stderr)


def test_the_lock_and_the_constraints_name_the_same_versions() -> None:
    pinned = dict(
        line.split("==")
        for line in (ROOT / "constraints/cpu.txt").read_text().splitlines()
        if "==" in line and line[0] != "#"
    )
    pinned = {inventory.normal(name): version for name, version in pinned.items()}
    differing = {
        name: version
        for name, version in locked().items()
        if pinned.get(name, version).partition("+")[0] != version.partition("+")[0]
    }
    assert not differing
    assert pinned.keys() <= locked().keys()  # nothing that is pinned is without a hash
