"""A checkpoint or rows that cannot be trained or asked: one sentence, exit code 2 or 3, no model written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_families

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.models import checkpoint
from medxiaohe.types import ImageRef, Message, Part, Sample

pytest.importorskip("torch")
pytest.importorskip("trl")


def mixture(folder: Path, *parts: Part) -> Path:
    """A folder of one instruction whose question has these parts."""
    rows = [Sample("r/1", (Message("user", parts), Message("assistant", ("Yes.",))), source="held_out")]
    with io.publish(folder, record=lambda: {"summary": {}}) as draft:
        io.write_jsonl(draft / "instructions.jsonl", rows)
        io.write_json(draft / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return mixture(tmp_path / "text", "Fever?")


@pytest.fixture
def seen(tmp_path: Path, pictures: tuple[ImageRef, ...]) -> Path:
    return mixture(tmp_path / "seen", pictures[0], "Is it the lung?")


Change = Callable[[Any], None]


def changed(base: Path, place: Path, change: Change) -> Path:
    """A copy of a checkpoint whose processor was changed."""
    loaded = checkpoint.load(str(base))
    change(loaded.processor)
    checkpoint.save(loaded, place)
    return place


def refused(
    model: Path, data: Path, out: Path, capsys: pytest.CaptureFixture[str], **settings: Any
) -> tuple[int, str]:
    """Exit code and sentence of `train sft`."""
    values = {"model": str(model), "max_steps": 1, **settings}
    (out.parent / "with.json").write_text(json.dumps(values), encoding="utf-8")
    command = ["train", "sft", "--out", str(out), "--with", str(out.parent / "with.json")]
    code = main([*command, "--input", f"data={data}"])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("medxiaohe: ")]
    assert len(said) == 1 and "Traceback" not in said[0] and said[0].count(". ") == 0, said
    assert not list(out.rglob("model.safetensors"))
    return code, said[0]


def mute(processor: Any) -> None:
    processor.chat_template = processor.tokenizer.chat_template = None


def without_images(processor: Any) -> None:
    processor.chat_template = processor.tokenizer.chat_template = tiny_families.CHATML_LIST.replace(
        "IMAGE", ""
    )


def other_prompt(processor: Any) -> None:
    template = processor.chat_template or processor.tokenizer.chat_template
    asks = "add_generation_prompt %}{{ '<|im_start|>"
    assert asks in template
    processor.chat_template = template.replace(f"{asks}assistant", f"{asks}doctor")


def other_words(processor: Any) -> None:
    processor.tokenizer.add_tokens(["pneumonia", "haemoglobin"])


@pytest.mark.parametrize("name", ["starter", "qwen3_vl", "internvl"])
@pytest.mark.parametrize(
    "change, says",
    [
        (mute, "no chat template, so how to ask the model is unknown: take the instruction-tuned"),
        (without_images, "has places for 0 of 1 images"),
        (other_words, "embeddings, so they are not of one checkpoint"),
    ],
)
def test_a_processor_that_does_not_fit_is_one_sentence(
    name: str,
    change: Change,
    says: str,
    seen: Path,
    families_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if package := tiny_families.missing(name):
        pytest.skip(f"{name} needs {package}")
    model = changed(tiny_families.build(name, families_folder), tmp_path / "model", change)
    code, said = refused(model, seen, tmp_path / "out", capsys)
    assert code == 3 and says in said


def test_a_template_that_rewrites_earlier_turns_is_trained_turn_by_turn_or_refused(
    text: Path, tiny_vlm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that drops earlier thoughts is trained (tests/models/test_tools_and_thinking.py); one that asks in
    another way than it answers cannot be."""
    model = changed(tiny_vlm, tmp_path / "model", other_prompt)
    code, said = refused(model, text, tmp_path / "out", capsys)
    assert code == 3 and "does not ask for an answer in the way it writes one" in said


def test_an_architecture_nobody_knows_is_one_sentence_for_training_and_evaluation(
    text: Path, tiny_vlm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(tiny_vlm, tmp_path / "model")
    told = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(told | {"model_type": "telepathy_vl"}), encoding="utf-8")
    code, said = refused(model, text, tmp_path / "out", capsys)
    assert code == 3 and "telepathy_vl" in said
    evaluated = ["eval", "run", "--model", str(model), "--tasks", "everyday", "--out", str(tmp_path / "e")]
    assert main(evaluated) == 3
    assert "telepathy_vl" in capsys.readouterr().err


def test_lora_on_layers_that_a_model_has_not_is_one_sentence(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A language model whose projections have other names."""
    from transformers import GPT2Config, GPT2LMHeadModel

    words = tiny_families.words(
        tiny_families.QWEN, "<|im_end|>", "<|endoftext|>", tiny_families.template("qwen3")
    )
    config = GPT2Config(vocab_size=len(words), n_embd=32, n_layer=2, n_head=2, n_positions=512)
    tiny_families.save(tmp_path / "model", GPT2LMHeadModel(config), words)
    code, said = refused(tmp_path / "model", text, tmp_path / "out", capsys)
    assert code == 3 and "lora_targets all match no layer of a GPT2LMHeadModel: set parts.language" in said


def test_an_image_of_200_megapixels_is_named_before_anything_is_trained(
    tiny_vlm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    Image.new("1", (20_000, 10_000)).save(tmp_path / "huge.png")
    data = mixture(tmp_path / "data", ImageRef(str(tmp_path / "huge.png")), "Is it the lung?")
    code, said = refused(tiny_vlm, data, tmp_path / "out", capsys)
    assert code == 3 and "row 1 (r/1)" in said and "huge.png: " in said and "pixels" in said


def test_no_rows_after_drops_is_one_sentence(
    seen: Path, tiny_vlm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(tiny_vlm, seen, tmp_path / "out", capsys, max_length=8, oversize="drop")
    assert code == 3 and "no rows to train on: all 1 are longer than max_length" in said


def test_images_for_a_model_that_reads_text_only_are_one_sentence(
    seen: Path, families_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(tiny_families.build("llama", families_folder), seen, tmp_path / "out", capsys)
    assert code == 3 and "reads text only" in said


def test_words_of_another_tokenizer_are_refused_by_evaluations_too(
    tiny_vlm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = changed(tiny_vlm, tmp_path / "model", other_words)
    row = Sample("r/2", (Message("user", ("Fever?",)),), target="yes", source="own", split="test")
    with io.publish(tmp_path / "corpus", record=lambda: {"summary": {}}) as draft:
        io.write_jsonl(draft / "samples.jsonl", [row])
    evaluated = ["eval", "run", "--model", str(model), "--tasks", "held_out", "--out", str(tmp_path / "e")]
    assert main([*evaluated, "--input", f"data={tmp_path / 'corpus'}"]) == 3
    assert "embeddings, so they are not of one checkpoint" in capsys.readouterr().err
    assert main(["ask", "--model", str(model), "Is it fever?"]) == 3
    assert "embeddings, so they are not of one checkpoint" in capsys.readouterr().err


def test_a_special_token_without_an_embedding_is_no_fault(families_folder: Path, tmp_path: Path) -> None:
    """Text-only Gemma 3 has <image_soft_token> one behind its last embedding; no text is made of it."""

    def image_token(processor: Any) -> None:
        processor.tokenizer.add_special_tokens({"additional_special_tokens": ["<image_soft_token>"]})

    model = changed(tiny_families.build("gemma", families_folder), tmp_path / "model", image_token)
    loaded = checkpoint.load(str(model))
    beyond = loaded.processor.tokenizer.convert_tokens_to_ids("<image_soft_token>")
    assert beyond >= loaded.model.get_input_embeddings().weight.shape[0]
    values = {"model": str(model), "max_steps": 1, "allow_contaminated": True}
    (tmp_path / "with.json").write_text(json.dumps(values), encoding="utf-8")
    data = mixture(tmp_path / "forged", "<image_soft_token> Fever?")
    command = ["train", "sft", "--out", str(tmp_path / "out"), "--with", str(tmp_path / "with.json")]
    assert main([*command, "--input", f"data={data}"]) == 0
