"""Models of a hub: a revision is a commit that the run records, and pickles are refused before they are
fetched."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.hub_server import Hub

from medxiaohe import io
from medxiaohe.errors import ModelError
from medxiaohe.models import checkpoint, hub
from medxiaohe.types import Message, Sample

pytest.importorskip("torch")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def served(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """org/good with two revisions, and repositories whose weights are pickles, beside them or below."""
    place = tmp_path_factory.mktemp("hub")
    good = Path(shutil.copytree(tiny_vlm, place / "good"))
    (good / "original").mkdir()
    (good / "original" / "consolidated.00.pth").write_bytes(b"\x80\x04.")
    (good / "pytorch_model.bin").write_bytes(b"\x80\x04.")  # beside safetensors, as many repositories have it
    (good / "train.py").write_text("raise SystemExit('this must never run')")
    older = Path(shutil.copytree(good, place / "older"))
    (older / "README.md").write_text("older")
    pickled = Path(shutil.copytree(tiny_vlm, place / "pickled"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    below = Path(shutil.copytree(tiny_vlm, place / "below"))
    (below / "parts").mkdir()
    (below / "model.safetensors").rename(below / "parts" / "weights.bin")
    weights = {"weight_map": {"lm_head.weight": "parts/weights.bin"}}
    (below / "model.safetensors.index.json").write_text(json.dumps(weights))
    code = Path(shutil.copytree(tiny_vlm, place / "code"))
    config = json.loads((code / "config.json").read_text())
    (code / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}))
    repositories = {
        "org/good": {"main": good, "v1": older}, "org/pickled": {"main": pickled}, "org/below": {"main":
        below}, "org/code": {"main": code},
    }  # fmt: skip
    with Hub(repositories) as server:
        yield server


def medxiaohe(server: Hub, cache: Path, *arguments: str, offline: bool = False) -> Any:
    """The command in a process of its own, whose hub is this one."""
    env = {
        **os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(cache), "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": str(int(offline)), "TRANSFORMERS_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
    }  # fmt: skip
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        env.pop(name, None)
    command = [sys.executable, "-m", "medxiaohe", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    talk = (Message("user", ("Is it fever?",)), Message("assistant", ("yes",)))
    with io.publish(folder / "mix", record=lambda: {"summary": {}}) as draft:
        io.write_jsonl(draft / "instructions.jsonl", [Sample("r/0", talk, source="made")])
    return folder / "mix"


@pytest.mark.slow
def test_a_revision_is_a_commit_that_the_run_records_and_finds_again_offline(
    served: Hub, mixture: Path, tmp_path: Path
) -> None:
    def train(model: str, out: str, offline: bool = False) -> dict[str, Any]:
        settings = {"model": model, "max_steps": 1, "allow_contaminated": True}
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        given = ("--with", str(tmp_path / "settings.json"), "--input", f"data={mixture}")
        command = ("train", "sft", "--out", str(tmp_path / out), *given)
        done = medxiaohe(served, tmp_path / "cache", *command, offline=offline)
        assert done.returncode == 0, done.stderr[-2000:]
        return io.read_record(tmp_path / out / "train_sft" / "1")

    older = train("org/good@v1", "pinned")
    assert older["summary"]["base"] == f"org/good@{served.commit('org/goodv1')}"
    assert older["settings"]["model"] == "org/good@v1"
    # nothing but what is read was fetched: no pickle, no code, nothing of other folders
    assert "model.safetensors" in served.fetched
    assert not [name for name in served.fetched if name.endswith((".bin", ".pth", ".py"))]
    newest = train("org/good", "newest")
    assert newest["summary"]["base"] == f"org/good@{served.commit('org/goodmain')}"
    assert train("org/good@v1", "again", offline=True)["summary"]["base"] == older["summary"]["base"]


def test_pickled_weights_of_a_hub_are_refused_before_they_are_fetched(served: Hub, tmp_path: Path) -> None:
    for name, why in (
        ("org/pickled", "only pickled weights (pytorch_model.bin)"),
        ("org/below", "only pickled weights (parts/weights.bin)"),
        ("org/code", "holds code or pickles (config.json)"),
        ("org/none", "cannot fetch the model 'org/none'"),
        ("org/good@v9", "cannot fetch the model 'org/good@v9'"),
        ("org/good@../../evil", "is no revision"),
    ):
        served.fetched.clear()
        done = medxiaohe(served, tmp_path / "cache", "ask", "--model", name, "Is it fever?")
        assert done.returncode in (2, 3) and why in done.stderr, (name, done.stderr[-500:])
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert not [file for file in served.fetched if file.endswith(hub.PICKLES)], name


@pytest.mark.parametrize("place", ["parts/model.bin", "../x.safetensors", "x.bin", 7])
def test_an_index_that_leaves_its_folder_or_names_pickles_is_refused(
    place: Any, tiny_vlm: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_vlm, tmp_path / "evil"))
    (folder / "parts").mkdir()
    (folder / "model.safetensors").rename(folder / "parts" / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"lm_head.weight": place}})
    )
    with pytest.raises(ModelError, match=r"\(model.safetensors.index.json\): only safetensors and JSON"):
        checkpoint.load(str(folder))
