"""Files of every format with code in every place that a reader could run it, and how each is opened."""

from __future__ import annotations

import io as bytes_io
import json
import os
import pickle
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io, plugins
from medxiaohe.cli import main

np = pytest.importorskip("numpy")


class Bomb:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.canary}'",)


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
