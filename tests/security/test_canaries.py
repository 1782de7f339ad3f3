"""Data never runs code: a canary in every kind of file that is read. What runs one would make a file.

Kinds are found, not listed, where the code lets it: every reader and vocabulary gets its own example with
code in its place. The last test fails when a module begins to read files in a way that no canary looks at.
"""

from __future__ import annotations

import ast
import io as bytes_io
import json
import os
import pickle
import shutil
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import medxiaohe
from medxiaohe import io, permission, plugins
from medxiaohe.cli import main
from medxiaohe.errors import ModelError

np = pytest.importorskip("numpy")


class Bomb:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.canary}'",)


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that code in data would make; the policy is that of a new process."""
    monkeypatch.delenv(permission.VARIABLE)
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "PWNED"


def payloads(canary: Path) -> dict[str, bytes]:
    """The same deed for whoever unpickles, imports, loads YAML, XML, JSON or a template."""
    touch = f"touch '{canary}'"
    return {
        "pickle": pickle.dumps(Bomb(canary)),
        "python": f"import os\nos.system({touch!r})\n".encode(),
        "yaml": f'!!python/object/apply:os.system ["{touch}"]\n'.encode(),
        "xml": f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "expect://{touch}">]><a>&x;</a>'.encode(),
        "json": json.dumps(
            {"py/object/apply": "os.system", "py/reduce": [touch], "$ref": "os:system"}
        ).encode(),
        "template": f"{{{{ cycler.__init__.__globals__.os.system({touch!r}) }}}}".encode(),
    }


def tried(canary: Path, do: Callable[[], Any]) -> Exception | None:
    """Do it, and say what it raised; the canary is not there afterwards."""
    error = None
    try:
        found = do()
        if hasattr(found, "__next__"):
            list(found)
    except Exception as raised:  # what a reader makes of garbage is no matter here
        error = raised
    assert not canary.exists(), f"code in data has run ({error!r})"
    return error


# ---- readers and vocabularies, found by the names of their kinds -----------------------------------------

FORMATS = [(kind, name) for kind in ("readers", "vocabularies") for name in plugins.shipped(kind)]


@pytest.mark.parametrize(("kind", "name"), FORMATS)
def test_a_format_runs_nothing_of_its_files(canary: Path, tmp_path: Path, kind: str, name: str) -> None:
    reader = plugins.load(kind, name)
    files: dict[str, Any] = getattr(__import__(reader.__module__, fromlist=["x"]), "EXAMPLE", {"x.jsonl": ""})
    for what, payload in payloads(canary).items():
        folder = tmp_path / what / "data"
        for file in files:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(payload)
        for beside in ("data.py", "__init__.py", "conftest.py", "sitecustomize.py", "dataset_infos.json"):
            (folder / beside).write_bytes(payloads(canary)["python"])
        first = folder / next(iter(files))
        tried(canary, lambda folder=folder: list(reader(folder)))
        tried(canary, lambda first=first: list(reader(first)))


# ---- checkpoints ------------------------------------------------------------------------------------------

PICKLES = (
    "pytorch_model.bin", "adapter_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth",  # noqa: E501
    "model.ckpt", "weights.pkl", "sub/model.bin", "checkpoint-5/optimizer.pt", "flax_model.msgpack", "tf_model.h5",  # noqa: E501
    "tokenizer.joblib",
)  # fmt: skip
MODULES = (
    "modeling_evil.py",
    "custom_generate/generate.py",
    "tokenization_evil.py",
    "sub/__init__.py",
    "evil.so",
)
CONFIGS = {
    "config.json": {"auto_map": {"AutoConfig": "modeling_evil.Evil"}},
    "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["modeling_evil.Evil", None]}},
    "processor_config.json": {"auto_map": {"AutoProcessor": "modeling_evil.Evil"}},
    "preprocessor_config.json": {"auto_map": {"AutoImageProcessor": "modeling_evil.Evil"}},
    "generation_config.json": {"trust_remote_code": True},
    "video_preprocessor_config.json": {"auto_map": {"AutoVideoProcessor": "modeling_evil.Evil"}},
    "modules.json": [{"type": "evil.Evil", "auto_map": {"x": "y"}}],
    "adapter_config.json": {"auto_mapping": None, "auto_map": {"base": "evil.Evil"}},
    "model_index.json": {"custom_pipelines": {"x": "evil"}},
    "nested config.json": {"text_config": {"auto_map": {"AutoModel": "modeling_evil.Evil"}}},
    "pytorch_model.bin.index.json": {"weight_map": {"a": "sub/evil.bin"}},
    "model.safetensors.index.json": {"weight_map": {"a": "../evil.safetensors"}},
}


def checkpoint_copy(tiny_vlm: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_vlm, tmp_path / "model"))


@pytest.mark.parametrize("name", [*PICKLES, *MODULES])
def test_a_checkpoint_with_a_pickle_or_a_module_is_refused(
    canary: Path, tmp_path: Path, tiny_vlm: Path, name: str
) -> None:
    folder = checkpoint_copy(tiny_vlm, tmp_path)
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    (folder / name).write_bytes(payloads(canary)["python" if name in MODULES else "pickle"])
    refused(canary, folder)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_checkpoint_whose_config_names_code_is_refused(
    canary: Path, tmp_path: Path, tiny_vlm: Path, name: str
) -> None:
    folder = checkpoint_copy(tiny_vlm, tmp_path)
    path = folder / name.removeprefix("nested ")
    before = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(
        json.dumps({**before, **CONFIGS[name]} if isinstance(CONFIGS[name], dict) else CONFIGS[name])
    )
    (folder.parent / "modeling_evil.py").write_bytes(payloads(canary)["python"])
    refused(canary, folder)


def refused(canary: Path, folder: Path) -> None:
    """All that open a folder in hub layout refuse it."""
    from medxiaohe.entity.tagging import encoder
    from medxiaohe.models import checkpoint, embed, embed_images, rerank
    from medxiaohe.models.experts import features
    from medxiaohe.privacy import text_adapters
    from medxiaohe.train import retriever, reward_model

    openers = (
        lambda: checkpoint.load(str(folder), "cpu"),
        lambda: checkpoint.processor(str(folder)),
        lambda: embed.embedder(str(folder)),
        lambda: reward_model.Learned(folder),
        lambda: encoder.place_of(str(folder)),
        lambda: text_adapters.transformers_ner(str(folder)),
        lambda: embed_images.image_embedder(str(folder)),
        lambda: rerank.cross_encoder(folder),
        lambda: features._tower(str(folder)),
        lambda: retriever._base(str(folder)),
    )
    for opener in openers:
        error = tried(canary, opener)
        assert isinstance(error, ModelError) and "code or pickles" in str(error), error


TEMPLATES = (
    "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ lipsum.__globals__['os'].popen('touch CANARY').read() }}",
    "{% import os %}{{ os.system('touch CANARY') }}",
    "{% include 'evil.py' %}",
    "{{ raise_exception.__globals__['__builtins__']['__import__']('os').system('touch CANARY') }}",
    "{{ (messages|attr('__class__')).__base__.__subclasses__() }}",
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_chat_template_runs_nothing(canary: Path, template: str) -> None:
    pytest.importorskip("transformers")
    from medxiaohe.models import templates

    talk = {"messages": [{"role": "user", "content": "hello"}], "add_generation_prompt": True}
    tried(canary, lambda: templates.render(template.replace("CANARY", str(canary)), talk))


# ---- YAML ---------------------------------------------------------------------------------------------------  # noqa: E501

TAGS = (
    '!!python/object/apply:os.system ["touch CANARY"]',
    "!!python/object/new:os.system [touch CANARY]",
    "!!python/name:os.system",
    "!!python/module:evil",
    "!!python/object/apply:subprocess.check_output [[touch, CANARY]]",
)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("kind", "recipe settings task boxes override asset taxonomy store".split())
def test_a_tag_of_yaml_builds_nothing(canary: Path, tmp_path: Path, kind: str, tag: str) -> None:
    from medxiaohe.assets import specs
    from medxiaohe.io import bounded_yaml
    from medxiaohe.retrieval.library import open_library
    from medxiaohe.tasks import make

    (tmp_path / "evil.py").write_bytes(payloads(canary)["python"])
    text = tag.replace("CANARY", str(canary))
    file = tmp_path / "file.yaml"
    file.write_text(f"name: x\nsource: {text}\nstages: {text}\n")
    run = {
        "recipe": lambda: main(["run", str(file), "--dry-run"]),
        "settings": lambda: main(["eval", "run", "--with", str(file), "--out", str(tmp_path / "o")]),
        "task": lambda: make(str(file), None),
        "boxes": lambda: main(["deid", str(tmp_path), "--out", str(tmp_path / "d"), "--boxes", str(file)]),
        "override": lambda: main(["run", str(file), "--dry-run", "--set", f"a={text}"]),
        "asset": lambda: specs._read(file),
        "taxonomy": lambda: bounded_yaml.read(file),
        "store": lambda: open_library(str(file), privacy="off"),
    }
    tried(canary, run[kind])


# ---- arrays, tables, archives, records ----------------------------------------------------------------------  # noqa: E501


def object_array(canary: Path) -> bytes:
    out = bytes_io.BytesIO()
    np.save(out, np.array([Bomb(canary)], dtype=object), allow_pickle=True)
    return out.getvalue()


def object_arrays(canary: Path, *names: str) -> bytes:
    out = bytes_io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name in names:
            packed.writestr(f"{name}.npy", object_array(canary))
    return out.getvalue()


def arrow(canary: Path, path: Path, *, parquet: bool) -> None:
    """An extension type that older readers unpickle, in the metadata of a column and of the table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    bomb = pickle.dumps(Bomb(canary))
    field = pa.field("a", pa.int64(), metadata={
        "ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": bomb,
    })  # fmt: skip
    table = pa.table(
        [pa.array([1])], schema=pa.schema([field], metadata={"pandas": bomb, "huggingface": b"{}"})
    )
    if parquet:
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)


def sqlite(canary: Path, path: Path, table: str) -> None:
    base = sqlite3.connect(path)
    base.execute(f"CREATE TABLE {table} (a, b, c)")
    base.execute(f"CREATE VIEW names AS SELECT load_extension('{canary.parent}/evil.so') AS a")
    base.execute(f"CREATE TRIGGER t AFTER INSERT ON {table} BEGIN SELECT load_extension('{canary}'); END")
    base.commit()
    base.close()


def state(canary: Path, folder: Path) -> None:
    """A training state whose JSON asks for classes and whose tensors are a pickle."""
    (folder / "random.json").write_bytes(payloads(canary)["json"])
    (folder / "random.safetensors").write_bytes(payloads(canary)["pickle"])
    (folder / "optimizer.json").write_bytes(payloads(canary)["json"])
    (folder / "optimizer.safetensors").write_bytes(payloads(canary)["pickle"])


def headers(canary: Path, folder: Path) -> None:
    """Safetensors whose header names code."""
    told = {"__metadata__": {"format": "pickle", "code": f"os:system touch {canary}"}, "a": {
        "dtype": "O", "shape": [1], "data_offsets": [0, 8]}}  # fmt: skip
    text = json.dumps(told).encode()
    (folder / "model.safetensors").write_bytes(
        len(text).to_bytes(8, "little") + text + pickle.dumps(Bomb(canary))
    )


def read_headers(folder: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def archived(canary: Path, path: Path) -> None:
    evil = payloads(canary)["python"]
    names = ("../evil.py", "/tmp/evil.py", "sitecustomize.py", "a/../../evil.py", "numpy.py")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name in names:
                packed.writestr(name, evil)
        return
    with tarfile.open(path, "w:gz") as packed:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(evil)
            packed.addfile(info, bytes_io.BytesIO(evil))
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(canary.parent)
        packed.addfile(link)


def dicom(canary: Path, path: Path) -> None:
    pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, generate_uid()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"#!/bin/sh\ntouch " + b"x" * 112)
    block = data.private_block(0x0011, "EVIL", create=True)
    block.add_new(1, "UN", pickle.dumps(Bomb(canary)))
    data.save_as(path, enforce_file_format=True)


def nifti(canary: Path, path: Path) -> None:
    header = bytearray(352)
    header[:4], header[344:348], header[348:352] = (348).to_bytes(4, "little"), b"n+1\0", b"\1\0\0\0"
    bomb = pickle.dumps(Bomb(canary))
    size = -(-(len(bomb) + 8) // 16) * 16
    path.write_bytes(
        bytes(header) + size.to_bytes(4, "little") + (6).to_bytes(4, "little") + bomb.ljust(size - 8, b"\0")
    )


def gguf(canary: Path, path: Path) -> None:
    """The head of a GGUF file whose chat template is code."""

    def text(words: str) -> bytes:
        return len(words).to_bytes(8, "little") + words.encode()

    pairs = {
        "general.architecture": "llama",
        "tokenizer.chat_template": payloads(canary)["template"].decode(),
    }
    body = b"".join(text(key) + (8).to_bytes(4, "little") + text(value) for key, value in pairs.items())
    path.write_bytes(
        b"GGUF"
        + (3).to_bytes(4, "little")
        + (0).to_bytes(8, "little")
        + len(pairs).to_bytes(8, "little")
        + body
    )


def read_gguf(path: Path) -> Any:
    from gguf import GGUFReader

    return GGUFReader(path).fields


def rows_of(format: str, path: Path, **options: Any) -> Any:
    return list(plugins.load("readers", format)(path, **options))


def dataset(canary: Path, folder: Path) -> None:
    (folder / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    (folder / "dataset_info.json").write_bytes(payloads(canary)["json"])
    arrow(canary, folder / "data.arrow", parquet=False)


def stored(canary: Path, folder: Path, kind: str, names: str, **more: Any) -> None:
    """A store whose record fits its files, which are pickles."""
    for name in names.split():
        if not (folder / name).exists():
            every(canary, folder, name, "pickle")
    sizes = {name: (folder / name).stat().st_size for name in names.split()}
    (folder / "store.json").write_text(json.dumps({"kind": kind, "format": 1, "files": sizes, **more}))


def pickled_store(canary: Path, folder: Path, kind: str) -> None:
    """A store that was built, and in which every file but the record is now a pickle of the recorded size."""
    from medxiaohe.retrieval import dense, text
    from medxiaohe.types import Evidence

    documents = [Evidence(f"d{i}", f"Fever and cough, case {i}.", "notes") for i in range(4)]
    if kind == "text":
        pytest.importorskip("tantivy")
        text.build_text(folder, documents)
    else:
        pytest.importorskip("faiss")
        dense.build_dense(folder, documents, "ngrams", approximate=1)
    record = json.loads((folder / "store.json").read_text())
    for name in record["files"]:
        every(canary, folder, name, "pickle")
        record["files"][name] = (folder / name).stat().st_size
    (folder / "store.json").write_text(json.dumps(record))


def reports_by_images(canary: Path, folder: Path) -> None:
    """An index of reports by images whose vectors and rows are pickles."""
    from medxiaohe.retrieval import image_reports

    place = folder / image_reports.FOLDER
    for name in (image_reports.VECTORS, image_reports.REPORTS):
        every(canary, place, name, "pickle")
    sizes = {path.name: path.stat().st_size for path in place.iterdir()}
    about = {"kind": image_reports.KIND, "format": image_reports.FORMAT}
    record = {**about, "files": sizes, "reports": 1, "dim": 4}
    (place / image_reports.RECORD).write_text(json.dumps(record))


def reports_found(folder: Path) -> Any:
    pytest.importorskip("torch")
    from medxiaohe.retrieval.image_reports import ImageReportStore

    return ImageReportStore(folder, model=object()).search(["fever"], 1)  # type: ignore[arg-type]


def image_heads(canary: Path, folder: Path) -> None:
    from medxiaohe.models import embed_images

    (folder / embed_images.HEADS).write_text(
        '{"tower": "thumbnails", "embedder": "ngrams", "image_mean": [0], "text_mean": [0]}'
    )
    (folder / "heads.npz").write_bytes(object_arrays(canary, "image", "text"))


def embedder_of_images(folder: Path) -> Any:
    from medxiaohe.models.embed_images import image_embedder

    return image_embedder(str(folder))


def experts(canary: Path, folder: Path) -> None:
    from medxiaohe.models.experts import specialist

    every(canary, folder, f"{specialist.WEIGHTS} {specialist.FACTS}", "pickle")


def specialist_of(folder: Path) -> Any:
    pytest.importorskip("torch")
    from medxiaohe.models.experts import specialist

    return specialist.load(folder)


def image_report(canary: Path, folder: Path) -> None:
    from medxiaohe.models.image_report import reader

    for name in (reader.WEIGHTS, reader.KNOWLEDGE):
        every(canary, folder / reader.FOLDER, name, "pickle")
    (folder / reader.FOLDER / reader.RECORD).write_text(
        '{"tags": [], "top": 1, "shape": {}, "relation": [], "queue": 1, "triplets": 1, "vocabulary": []}'
    )


def image_report_model(folder: Path) -> Any:
    pytest.importorskip("torch")
    from medxiaohe.models.image_report.reader import ImageReportModel

    return ImageReportModel(folder)


def graph(canary: Path, folder: Path) -> None:
    sqlite(canary, folder / "graph.sqlite", "nodes")
    stored(canary, folder, "graph", "graph.sqlite")


def relations(canary: Path, folder: Path) -> None:
    """A graph whose trigger loads an extension when facts are dealt out anew."""
    base = sqlite3.connect(folder / "graph.sqlite")
    base.execute("CREATE TABLE relation (id INTEGER, predicate TEXT, object INTEGER)")
    base.executemany("INSERT INTO relation VALUES (?, 'p', ?)", [(1, 2), (2, 3), (3, 1)])
    evil = f"SELECT load_extension('{canary.parent}/evil.so')"
    base.execute(f"CREATE TRIGGER t AFTER UPDATE ON relation BEGIN {evil}; END")
    base.commit()
    base.close()
    (canary.parent / "evil.so").write_bytes(payloads(canary)["python"])
    stored(canary, folder, "graph", "graph.sqlite")


def dealt(folder: Path) -> Any:
    from medxiaohe.retrieval.controls import rewired
    from medxiaohe.retrieval.graph import GraphStore

    return rewired(GraphStore(folder), folder / "control")


def report_of(path: Path) -> Any:
    from medxiaohe.cli import describe

    return describe._write_sr(None, path, path.with_suffix(".sr"))


def header_of(path: Path) -> Any:
    from medxiaohe.tools.dicom import header

    return header(path)


def searched(folder: Path) -> Any:
    return library(folder).search(["fever"], 3)


def tagger_files(canary: Path, folder: Path) -> None:
    every(canary, folder, "names.json words.json", "json")
    (folder / "tagger.json").write_text('{"format": 2, "rules": false, "encoder": "os:system"}')
    (folder / "weights.npz").write_bytes(object_arrays(canary, "w"))


def every(canary: Path, folder: Path, names: str, payload: str) -> None:
    for name in names.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(payloads(canary)[payload])


def library(folder: Path) -> Any:
    from medxiaohe.retrieval.library import open_store

    return open_store(folder)


def reproduced(folder: Path) -> Any:
    return main(["eval", "reproduce", str(folder)])


def verified(folder: Path) -> Any:
    return main(["trace", "verify", str(folder)])


def resumed(folder: Path) -> Any:
    from medxiaohe.train.loop import resume

    return [resume.read_state(folder, name) for name in ("random", "optimizer")]


def converted(path: Path) -> Any:
    from medxiaohe.assets import convert

    return convert.read_plain(path)


def converted_tensors(folder: Path) -> Any:
    from medxiaohe.assets import convert

    return convert._convert_tensors(lambda rows: rows, next(folder.iterdir()), folder)


def classifier(path: Path) -> Any:
    from medxiaohe.data.cleaning import linear_classifier

    return linear_classifier.load(path)


def tagger(folder: Path) -> Any:
    from medxiaohe.entity.tagger import Tagger

    return Tagger.load(folder)


def index(path: Path) -> Any:
    pytest.importorskip("numba")
    from medxiaohe.entity.linking.index import Index

    return Index.load(path)


def reply_store(path: Path) -> Any:
    from medxiaohe.models.reply_store import ReplyStore

    return ReplyStore(path, shared=True)


def remembered(folder: Path) -> Any:
    from medxiaohe.entity.literature.vectors import Remembering

    class Words:
        name = "words"

        def encode(self, texts: Any) -> Any:
            return np.zeros((len(texts), 2), np.float32)

    one = Remembering(Words(), folder)  # type: ignore[arg-type]
    one.encode(["a"])
    for file in folder.rglob("*.npy"):
        file.write_bytes(object_array(folder.parent / "PWNED"))
    return Remembering(Words(), folder).encode(["a"])  # type: ignore[arg-type]


def term_block(folder: Path) -> Any:
    from medxiaohe.data.coverage import term_sets
    from medxiaohe.models.embed import embedder

    ngrams = embedder("ngrams")
    with term_sets.vectors(["fever"], ngrams, folder):
        pass
    for file in folder.rglob("*.npy"):
        file.write_bytes(object_array(folder.parent / "PWNED"))
    with term_sets.vectors(["fever"], ngrams, folder) as found:
        return found


def near_texts(folder: Path) -> Any:
    with np.load(folder / "signatures.npz") as arrays:
        return {name: arrays[name] for name in arrays}


def tree_of(folder: Path) -> Any:
    from medxiaohe.entity.tree.tree import Tree

    return Tree.load(folder)


def page(folder: Path) -> Any:
    return main(
        ["stage", "pages.evaluation", "--input", f"run={folder}", "--out", str(folder.parent / "page")]
    )


def compared(folder: Path) -> Any:
    return main(["eval", "compare", str(folder), str(folder), "--out", str(folder.parent / "cmp")])


def verified_stage(folder: Path) -> Any:
    return io.verify(folder)


TREE = "entities.jsonl terms.jsonl merges.jsonl relations.jsonl stats.json MANIFEST.json stage.json"
RUN = "results.json traces.jsonl summary.json judges.json slices.json MANIFEST.json stage.json draws.jsonl variants.jsonl"  # noqa: E501
Write, Open = Callable[[Path, Path], Any], Callable[[Path], Any]
FILES: dict[str, tuple[Write, Open]] = {
    "npz of objects": (lambda c, f: (f / "x.npz").write_bytes(object_arrays(c, "images", "labels")), lambda f: rows_of("npz", f / "x.npz")),  # noqa: E501
    "npy of objects": (lambda c, f: (f / "x.npy").write_bytes(object_array(c)), lambda f: np.load(f / "x.npy", allow_pickle=False)),  # noqa: E501
    "parquet metadata": (lambda c, f: arrow(c, f / "x.parquet", parquet=True), lambda f: rows_of("table", f / "x.parquet")),  # noqa: E501
    "arrow metadata": (dataset, lambda f: rows_of("save_to_disk", f)),
    "zip": (lambda c, f: archived(c, f / "x.zip"), lambda f: rows_of("archive", f / "x.zip", reader="chat_jsonl")),  # noqa: E501
    "tar.gz": (lambda c, f: archived(c, f / "x.tar.gz"), lambda f: rows_of("archive", f / "x.tar.gz", reader="chat_jsonl")),  # noqa: E501
    "DICOM private tags": (lambda c, f: dicom(c, f / "x.dcm"), lambda f: rows_of("dicom", f)),
    "NIfTI extension": (lambda c, f: nifti(c, f / "x.nii"), lambda f: rows_of("nifti", f)),
    "GGUF metadata": (lambda c, f: gguf(c, f / "x.gguf"), lambda f: read_gguf(f / "x.gguf")),
    "safetensors header": (headers, read_headers),
    "training state": (state, resumed),
    "asset pickle": (lambda c, f: every(c, f, "x.pkl", "pickle"), lambda f: converted(f / "x.pkl")),
    "asset tensors": (lambda c, f: every(c, f, "x.pt", "pickle"), converted_tensors),
    "classifier.npz": (lambda c, f: (f / "c.npz").write_bytes(object_arrays(c, "weights", "bias", "words")), lambda f: classifier(f / "c.npz")),  # noqa: E501
    "tagger folder": (tagger_files, tagger),
    "index of names": (lambda c, f: every(c, f, "x.index", "pickle"), lambda f: index(f / "x.index")),
    "reply store": (lambda c, f: sqlite(c, f / "r.sqlite", "replies"), lambda f: reply_store(f / "r.sqlite")),
    "reply store that is a pickle": (lambda c, f: every(c, f, "r.sqlite", "pickle"), lambda f: reply_store(f / "r.sqlite")),  # noqa: E501
    "graph store": (graph, searched),
    "graph whose facts are dealt out": (relations, dealt),
    "DICOM of a tool": (lambda c, f: dicom(c, f / "x.dcm"), lambda f: header_of(f / "x.dcm")),
    "DICOM of a report": (lambda c, f: dicom(c, f / "x.dcm"), lambda f: report_of(f / "x.dcm")),
    "text store": (lambda c, f: pickled_store(c, f, "text"), searched),
    "dense store": (lambda c, f: pickled_store(c, f, "dense"), searched),
    "index of reports": (reports_by_images, reports_found),
    "image heads": (image_heads, embedder_of_images),
    "experts": (experts, specialist_of),
    "image-report model": (image_report, image_report_model),
    "store record": (lambda c, f: every(c, f, "store.json", "json"), library),
    "remembered vectors": (lambda c, f: None, remembered),
    "vectors of terms": (lambda c, f: None, term_block),
    "signatures of texts": (lambda c, f: (f / "signatures.npz").write_bytes(object_arrays(c, "keys")), near_texts),  # noqa: E501
    **{f"tree as {what}": (lambda c, f, what=what: every(c, f, TREE, what), tree_of) for what in ("pickle", "json", "yaml")},  # noqa: E501
    **{f"results as {what}": (lambda c, f, what=what: every(c, f, RUN, what), reproduced) for what in ("pickle", "json", "yaml")},  # noqa: E501
    **{f"compared runs as {what}": (lambda c, f, what=what: every(c, f, RUN, what), compared) for what in ("pickle", "json")},  # noqa: E501
    **{f"traces as {what}": (lambda c, f, what=what: every(c, f, "log.jsonl openings.jsonl checkpoint secret", what), verified) for what in ("pickle", "json", "yaml")},  # noqa: E501
    **{f"manifest as {what}": (lambda c, f, what=what: every(c, f, "MANIFEST.json stage.json", what), verified_stage) for what in ("pickle", "json", "yaml")},  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_runs_nothing(canary: Path, tmp_path: Path, name: str) -> None:
    write, open_ = FILES[name]
    folder = tmp_path / "there"
    folder.mkdir()
    write(canary, folder)
    tried(canary, lambda: open_(folder))
    assert not list(tmp_path.glob("evil.py"))


def test_the_bomb_goes_off_where_somebody_unpickles(canary: Path, tmp_path: Path) -> None:
    """The canary is heard: otherwise no test here could fail."""
    pickle.loads(payloads(canary)["pickle"])
    assert canary.exists()


def test_a_folder_of_data_holds_no_modules_for_child_processes(
    canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medxiaohe.data.formats import sandbox

    for name in (
        "pydicom",
        "numpy",
        "json",
        "pathlib",
        "pypdf",
        "nibabel",
        "PIL",
        "medxiaohe_evil",
        "resource",
        "signal",
    ):
        (tmp_path / f"{name}.py").write_bytes(payloads(canary)["python"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sandbox, "_children", {})
    (tmp_path / "x.pdf").write_bytes(b"%PDF-1.4 nothing")
    tried(canary, lambda: rows_of("pdf", tmp_path / "x.pdf"))
    tried(canary, lambda: rows_of("npz", tmp_path / "x.pdf"))


def test_trackers_do_not_take_their_config_from_data(
    canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    from medxiaohe.train.loop import trackers

    for name in ("wandb/settings", ".comet.config", "mlflow.yaml", ".codecarbon.config", "trackio.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(payloads(canary)["yaml"])
    monkeypatch.chdir(tmp_path)
    tried(canary, lambda: trackers.checked(["wandb"]))
    tried(canary, lambda: trackers.tracking(["tensorboard"], tmp_path / "out").__enter__())


# ---- nothing that reads is left out ----------------------------------------------------------------------------  # noqa: E501

READS = {
    "np.load", "torch.load", "pickle.load", "pickle.loads", "pickle.Unpickler", "yaml.safe_load", "yaml.load",
    "bounded_yaml.read", "bounded_yaml.load", "sqlite3.connect", "tarfile.open", "zipfile.ZipFile", "pydicom.dcmread",  # noqa: E501
    "pypdf.PdfReader", "pyarrow.parquet.ParquetFile", "pyarrow.ipc.open_stream", "datasets.load_dataset",
    "datasets.Dataset.from_parquet", "np.memmap", "load_file", "safe_open", "eval", "exec", "importlib.import_module",  # noqa: E501
    "spec.loader.exec_module", "tantivy.Index.open", "subprocess.run", "subprocess.Popen", "__import__",
}  # fmt: skip
# module -> what plants a canary in what it reads, or why there is nothing to plant
LOOKED_AT = {
    "evals/statistics/robustness.py": "test_code_by_name",
    "agents/parsing/taxonomy.py": "tags of YAML", "assets/cache.py": "zip, tar.gz; pip is a program of this machine",  # noqa: E501
    "assets/convert.py": "asset pickle, asset tensors", "assets/sdist.py": "tar.gz; tests/assets",
    "assets/specs.py": "tags of YAML: asset", "cli/__init__.py": "modules of this package",
    "cli/check.py": "tags of YAML: override", "cli/deid.py": "tags of YAML: boxes",
    "cli/doctor.py": "programs of this machine", "data/cleaning/linear_classifier.py": "classifier.npz",
    "data/coverage/term_sets.py": "vectors of terms", "data/duplicates/near_text.py": "signatures of texts",
    "data/formats/archives.py": "zip, tar.gz", "data/formats/decode_dicom.py": "DICOM private tags",
    "data/formats/decode_npz.py": "npz of objects", "data/formats/decode_parquet.py": "parquet and arrow metadata",  # noqa: E501
    "data/formats/decode_pdf.py": "reader pdf", "data/formats/sandbox.py": "modules for child processes",
    "data/readers/hub.py": "reader hub", "data/readers/archive.py": "zip", "entity/linking/index.py": "index of names",  # noqa: E501
    "entity/literature/vectors.py": "remembered vectors", "entity/tagger.py": "tagger folder",
    "entity/tagging/encoder.py": "checkpoints, safetensors header", "models/families/family.py": "modules of this package",  # noqa: E501
    "models/reply_store.py": "reply store", "models/templates.py": "chat templates", "permission.py": "test_code_by_name",  # noqa: E501
    "plugins.py": "test_code_by_name", "privacy/dicom.py": "DICOM private tags", "recipe/load.py": "tags of YAML",  # noqa: E501
    "retrieval/controls.py": "graph whose facts are dealt out",
    "retrieval/vectors.py": "dense store", "retrieval/combined.py": "tags of YAML: store",
    "retrieval/image_reports.py": "index of reports",
    "train/image_report/features.py": "numbers without a head",
    "models/embed_images.py": "checkpoints, image heads", "models/rerank.py": "checkpoints",
    "train/retriever.py": "checkpoints", "models/experts/features.py": "checkpoints",
    "models/experts/specialist.py": "experts", "models/image_report/reader.py": "image-report model",
    "cli/dicom_report.py": "DICOM of a report",
    "tools/dicom.py": "DICOM of a tool",
    "tools/vision/vessels.py": "files of this package",
    "retrieval/dense.py": "dense store", "retrieval/graph.py": "graph store", "retrieval/text.py": "text store",  # noqa: E501
    "scoring/_languages.py": "files of this package", "scoring/peers/radeval.py": "an installed package",
    "shards.py": "names of this package, given in code", "tasks/_definition.py": "tags of YAML: task",
    "tasks/_lm_eval/config.py": "tests/tasks/test_lm_eval_files.py: functions are refused",
    "tasks/_rows.py": "parquet metadata, reader hub", "tasks/pneumonia_mnist.py": "npz of objects",
    "train/exporters/export.py": "modules of this package", "train/loop/resume.py": "training state",
}  # fmt: skip


def test_every_module_that_reads_has_its_canary() -> None:
    package = Path(medxiaohe.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name in READS or name.endswith((".from_pretrained", "GGUFReader")):
                found.add(path.relative_to(package).as_posix())
    checkpoints = {"models/checkpoint.py", "models/embed.py", "models/starter.py", "train/reward_model.py"}
    checkpoints |= {"models/shapes.py", "train/loop/merge.py", "data/synth/similarity.py"}
    assert found - checkpoints - set(LOOKED_AT) == set(), (
        "plant a canary in what these read, and name it here"
    )


def test_there_are_at_least_sixty_kinds() -> None:
    kinds = len(FORMATS) + len(PICKLES) + len(MODULES) + len(CONFIGS) + len(TEMPLATES) + 7 + len(FILES)
    assert kinds >= 120, kinds
