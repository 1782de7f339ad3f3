"""Checkpoints are data: folders in hub layout load, code and pickles are refused, a wrong name is one
sentence."""

import json
import shutil
from pathlib import Path

import pytest

from medxiaohe.errors import ConfigError, ModelError, PrivacyError
from medxiaohe.models import checkpoint, starter

pytest.importorskip("torch")


def test_a_folder_in_hub_layout_survives_saving_and_loading(tiny_vlm: Path, tmp_path: Path) -> None:
    import torch

    first = checkpoint.load(str(tiny_vlm))
    checkpoint.save(first, tmp_path / "again")
    second = checkpoint.load(str(tmp_path / "again"))
    for (name, a), (_, b) in zip(
        first.model.named_parameters(), second.model.named_parameters(), strict=True
    ):
        assert torch.equal(a, b), name
    assert not [p for p in (tmp_path / "again").iterdir() if p.suffix in (".bin", ".pt", ".pkl")]


def test_a_checkpoint_with_code_or_pickles_is_refused(tiny_vlm: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_vlm, tmp_path / "evil")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}))
    with pytest.raises(ModelError, match=r"config.json, pytorch_model.bin"):
        checkpoint.load(str(folder))


def test_a_name_that_is_nothing_is_refused() -> None:
    for name in ("no/such/folder", "./nowhere", "starterr"):
        with pytest.raises(ConfigError, match="must be starter, an existing folder"):
            checkpoint.load(name)
    with pytest.raises(PrivacyError):
        checkpoint.resolve("patient John Doe/born 1950")


@pytest.mark.slow
@pytest.mark.filled_cache("smollm2_135m_instruct", "dinov2_small_registers")
def test_the_starter_answers_and_every_weight_comes_from_its_package() -> None:
    import torch
    from transformers import AutoModel

    from medxiaohe import assets
    from medxiaohe.models.render import batch, render_prompt
    from medxiaohe.types import Message

    loaded = checkpoint.load("starter")
    assert loaded.model.config.projector_is_fresh is True
    tower = AutoModel.from_pretrained(assets.folder("dinov2_small_registers"), dtype=torch.float32)
    for name, weight in tower.state_dict().items():
        assert torch.equal(weight, loaded.model.model.vision_tower.state_dict()[name]), name
    assert loaded.model.lm_head.weight is loaded.model.model.language_model.embed_tokens.weight
    row = render_prompt([Message("user", ("What is the capital of France?",))], loaded.processor)
    inputs = batch([row], loaded.processor, "left")
    inputs.pop("labels")
    reply = loaded.model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, len(row.tokens) :]
    assert "Paris" in loaded.processor.tokenizer.decode(reply)
    assert not starter.folder().joinpath("pytorch_model.bin").exists()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.filled_cache("smollm2_135m_instruct", "dinov2_small_registers")
def test_the_starter_is_built_to_the_same_weights_every_time() -> None:
    import torch

    torch.manual_seed(1)
    built, _ = starter.build()
    kept = checkpoint.load("starter").model.state_dict()
    for name, weight in built.state_dict().items():
        assert torch.equal(weight, kept[name]), name


def hub_cache(tiny_vlm: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub with two revisions of ORG/TINY, the second of which names code."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    place = folder / "models--ORG--TINY"
    first, second = "a" * 40, "b" * 40
    shutil.copytree(tiny_vlm, place / "snapshots" / first)
    config = json.loads((tiny_vlm / "config.json").read_text())
    shutil.copytree(tiny_vlm, place / "snapshots" / second)
    evil = {**config, "auto_map": {"AutoConfig": "evil.Evil"}}
    (place / "snapshots" / second / "config.json").write_text(json.dumps(evil))
    (place / "snapshots" / first / "pytorch_model.bin").write_bytes(b"fetched by another program")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(second)
    (place / "refs" / "v1").write_text(first)
    return place


def test_a_hub_id_is_the_folder_of_its_revision(
    tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    place = hub_cache(tiny_vlm, tmp_path, monkeypatch)
    for revision in ("v1", "a" * 40):
        assert checkpoint.resolve(f"ORG/TINY@{revision}") == str(place / "snapshots" / ("a" * 40))
    # what a run records is the commit, whatever the tag stands for later
    assert checkpoint.load("ORG/TINY@v1", "cpu").name == f"ORG/TINY@{'a' * 40}"
    with pytest.raises(ModelError, match="code or pickles"):
        checkpoint.resolve("ORG/TINY")
    with pytest.raises(ModelError, match="cannot fetch the model 'ORG/OTHER'"):
        checkpoint.resolve("ORG/OTHER")
    for odd in ("ORG/TINY@", "ORG/TINY@a b", "ORG/TINY@-x"):
        with pytest.raises((ConfigError, ModelError)):
            checkpoint.resolve(odd)
