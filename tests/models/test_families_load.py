"""A checkpoint that cannot be used is refused in one sentence, before its weights are read."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import tiny_families

from medxiaohe import torchvision_ops
from medxiaohe.errors import ConfigError, DataError, MissingExtra, ModelError
from medxiaohe.models import checkpoint
from medxiaohe.models.families import family as families
from medxiaohe.models.render import render_prompt
from medxiaohe.types import ImageRef, Message

pytest.importorskip("torch")


def changed(folder: Path, place: Path, file: str, **values: object) -> str:
    """A copy of a checkpoint without weights, with some keys of one of its files changed."""
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.safetensors"))
    told = json.loads((place / file).read_text(encoding="utf-8"))
    (place / file).write_text(json.dumps(told | values), encoding="utf-8")
    return str(place)


@pytest.mark.parametrize("name", ["qwen3_vl", "smolvlm", "internvl", "llava_onevision"])
def test_a_missing_package_is_named_with_what_to_install(
    name: str, families_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tiny_families.missing(name):
        pytest.skip("the checkpoint cannot be built here")
    place = changed(tiny_families.build(name, families_folder), tmp_path / "copy", "config.json")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda one, *more: None if one == "torchvision" else real(one, *more),
    )
    with pytest.raises(MissingExtra, match=r"torchvision: pip install 'medxiaohe\[train\]'"):
        checkpoint.load(place)


def test_an_architecture_nobody_knows_is_refused(tiny_vlm: Path, tmp_path: Path) -> None:
    place = changed(tiny_vlm, tmp_path / "new", "config.json", model_type="telepathy_vl")
    with pytest.raises(ModelError, match="telepathy_vl"):
        checkpoint.load(place)


def test_a_model_that_answers_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "siglip_vision_model"}', encoding="utf-8")
    with pytest.raises(ModelError, match="neither answers in text nor reads images"):
        checkpoint.load(str(tmp_path))


def test_a_processor_without_a_chat_template_cannot_be_asked(tiny_vlm: Path, tmp_path: Path) -> None:
    loaded = checkpoint.load(str(shutil.copytree(tiny_vlm, tmp_path / "mute")))
    loaded.processor.chat_template = loaded.processor.tokenizer.chat_template = None
    with pytest.raises(ModelError, match="no chat template"):
        render_prompt([Message("user", ("Hi",))], loaded.processor)


def test_a_language_model_refuses_images(families_folder: Path, pictures: tuple[ImageRef, ...]) -> None:
    loaded = checkpoint.load(str(tiny_families.build("llama", families_folder)))
    with pytest.raises(DataError, match="reads text only"):
        render_prompt([Message("user", (pictures[0], "Hi"))], loaded.processor)


def test_pixels_of_a_llava_are_those_of_pillow_with_and_without_torchvision(tiny_vlm: Path) -> None:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    assert isinstance(checkpoint.processor(str(tiny_vlm)).image_processor, CLIPImageProcessorPil)


def test_a_family_is_a_file_and_a_processor_of_none_has_the_default() -> None:
    assert families.named("Qwen3VLProcessor").token_types == "mm_token_type_ids"
    assert families.named("SomeNewProcessor") is families.DEFAULT


def test_torchvision_of_another_build_is_declared_once() -> None:
    pytest.importorskip("torch")
    assert torchvision_ops.declare() == torchvision_ops.declare()
    if importlib.util.find_spec("torchvision") is not None:
        import torchvision.transforms.v2

        assert torchvision.transforms.v2.Resize(3).size == [3]


def test_a_template_that_asks_otherwise_than_it_answers_is_refused(tiny_vlm: Path) -> None:
    from medxiaohe.models.render import render

    loaded = checkpoint.load(str(tiny_vlm))
    loaded.processor.chat_template = loaded.processor.chat_template.replace(
        "add_generation_prompt %}{{ '<|im_start|>assistant", "add_generation_prompt %}{{ '<|im_start|>doctor"
    )
    with pytest.raises(DataError, match="does not ask for an answer in the way it writes one"):
        render([Message("user", ("Hi",)), Message("assistant", ("Yes",))], loaded.processor)


def test_a_lora_target_that_matches_nothing_is_one_sentence(tiny_vlm: Path) -> None:
    from medxiaohe.train.loop import parts

    model = checkpoint.load(str(tiny_vlm)).model
    model.model.language_model.layers = model.model.language_model.layers[:0]
    with pytest.raises((ModelError, ConfigError), match="match no layer"):
        parts.prepare(model, parts.Parts(), 0)
