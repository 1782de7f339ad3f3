"""Data never runs code: a canary in every kind of file that is read. What runs one would make a file.

Kinds are found, not listed, where the code lets it: every reader and vocabulary gets its own example with
code in its place. The last test fails when a module begins to read files in a way that no canary looks at.
"""

from __future__ import annotations

import ast
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from canary_files import FILES, payloads, rows_of

import medxiaohe
from medxiaohe import permission, plugins
from medxiaohe.cli import main
from medxiaohe.errors import ModelError

FORMATS = [(kind, name) for kind in ("readers", "vocabularies") for name in plugins.shipped(kind)]


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that code in data would make; the policy is that of a new process."""
    monkeypatch.delenv(permission.VARIABLE)
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "PWNED"


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


def page(folder: Path) -> Any:
    return main(
        ["stage", "pages.evaluation", "--input", f"run={folder}", "--out", str(folder.parent / "page")]
    )


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
    "cli/parser.py": "modules of this package",
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
