"""A toy package with data files, and a cache without downloads, for the tests of assets."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from medxiaohe import io

WHEEL = "toy_words-1.0-py3-none-any.whl"
INFO = "toy_words-1.0.dist-info"
WORDS = b"fever\ncough\n"
FILES: dict[str, bytes] = {
    "toy_words/__init__.py": b"",
    "toy_words/data/words.txt": WORDS,
    "toy_words/data/pages/1.txt": b"one",
    "toy_words/data/pages/2.txt": b"two",
    "toy_words/data/pages/deep/3.txt": b"not listed",
    "toy_words/data/secret.txt": b"not listed",
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: toy-words\nVersion: 1.0\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/RECORD": b"",
    f"{INFO}/LICENSE": b"do what you like",
}


def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an empty cache, which is the one in use, and no downloads."""
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MEDXIAOHE_OFFLINE", "1")
    (tmp_path / "cache" / "wheels").mkdir(parents=True)
    return tmp_path


def build(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(folder / WHEEL, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            wheel.writestr(zipfile.ZipInfo(name), content)
    return folder / WHEEL


def describe(root: Path, built: Path, /, **changes: Any) -> str:
    """The path of a spec for the toy wheel."""
    spec = {
        "package": "toy-words",
        "version": "1.0",
        "wheel": WHEEL,
        "sha256": io.sha256(built),
        "root": "toy_words/data",
        "members": {"words.txt": hashlib.sha256(WORDS).hexdigest(), "pages/*.txt": 2},
        "bytes": 18,
        "kind": "text",
        "license": "CC0",
        "source": "this test",
        "note": "two words",
    }
    (root / "toy.yaml").write_text(yaml.safe_dump(spec | changes))
    return str(root / "toy.yaml")


def given(root: Path, files: Mapping[str, bytes] = FILES, **changes: Any) -> str:
    """A spec whose wheel the user has put into the cache."""
    return describe(root, build(root / "cache" / "wheels", files), **changes)


def left(root: Path) -> list[str]:
    """What is in the cache beside the wheels."""
    return sorted(
        str(p.relative_to(root / "cache")) for p in (root / "cache" / "toy").rglob("*") if p.is_file()
    )
