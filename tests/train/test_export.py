"""Data and settings for other trainers. With ms-swift, LLaMA-Factory or verl installed their own readers
parse what we write."""

import dataclasses
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.types import ImageRef, Message, Sample, ToolCall, ToolResult

pytest.importorskip("torch")
from medxiaohe.train.exporters.export import TARGETS, export
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.rl import RLSettings

MODEL = "Qwen/Qwen3-VL-4B-Instruct"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One row of each kind: an image, text that looks like an image, tools, a system message; a document; a
    prompt; a pair."""
    from PIL import Image

    Image.new("RGB", (8, 8), (200, 10, 10)).save(tmp_path / "x.png")
    picture = ImageRef(str(tmp_path / "x.png"))
    call = ToolCall("call_0", "bmi", {"weight_kg": 70.0, "height_m": 1.75})
    looked = (
        Message("user", ("Weight 70 kg, height 1.75 m: the BMI?",)),
        Message("assistant", (call,)),
        Message("tool", (ToolResult("call_0", ("22.9",)),)),
        Message("assistant", ("22.9",)),
    )
    rows = [
        Sample(
            "a",
            (
                Message("user", (picture, "Is it red? <image> is a word here.")),
                Message("assistant", ("yes",)),
            ),
            source="held_out",
        ),
        Sample("b", looked, source="bedside"),
        Sample(
            "c",
            (Message("system", ("Be short.",)), Message("user", ("2 + 2?",)), Message("assistant", ("4",))),
            source="other",
        ),
        Sample(
            "d", (*looked[:1], Message("assistant", ("Let me see.", call)), *looked[2:]), source="bedside"
        ),
    ]
    folder = tmp_path / "stage"
    io.write_jsonl(folder / "instructions.jsonl", rows)
    io.write_jsonl(
        folder / "documents.jsonl",
        [Sample("p", (Message("document", ("The heart has four chambers.", picture)),))],
    )
    asked = (Message("user", (picture, "Is it red? Answer yes or no.")), Message("assistant", ("yes",)))
    io.write_jsonl(folder / "prompts.jsonl", [Sample("q", asked, target="yes", source="held_out")])
    pair = {"id": "1", "prompt": "Is aspirin an antibiotic?", "chosen": "No.", "rejected": "Yes."}
    io.write_jsonl(folder / "pairs.jsonl", [pair])
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 1}, "removed": 0}})
    return folder


def written(
    data: Path, target: str, kind: str, out: Path, **options: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    export(data, target, out, MODEL, kind, **options)
    rows = (
        list(io.read_jsonl(out / "data.jsonl"))
        if (out / "data.jsonl").exists()
        else _parquet(out / "data.parquet")
    )
    return rows, yaml.safe_load((out / "train.yaml").read_text())


def _parquet(path: Path) -> list[dict[str, Any]]:
    pq = pytest.importorskip("pyarrow.parquet")
    return list(pq.read_table(path).to_pylist())


@pytest.mark.parametrize("target", TARGETS)
def test_every_row_is_written_or_left_out_with_a_reason(target: str, data: Path, tmp_path: Path) -> None:
    rows, _ = written(data, target, "sft", tmp_path / "o")
    left = list(io.read_jsonl(tmp_path / "o" / "left_out.jsonl"))
    assert len(rows) == 3 and [row["id"] for row in left] == ["d"] and "words beside a call" in left[0]["why"]
    assert io.read_json(tmp_path / "o" / "export.json") == {
        "target": target,
        "kind": "sft",
        "rows": 3,
        "left_out": 1,
        "images": 1,
    }
    for row in rows:
        text = json.dumps(row, ensure_ascii=False)
        assert text.count("<image>") == len(row.get("images") or []), text
    io.verify(tmp_path / "o")


def test_images_are_the_pixels_our_models_see(data: Path, tmp_path: Path) -> None:
    from PIL import Image

    rows, _ = written(data, "ms_swift", "sft", tmp_path / "o")
    (path,) = rows[0]["images"]
    assert Path(path).parent == tmp_path / "o" / "images" and Image.open(path).getpixel((0, 0)) == (
        200,
        10,
        10,
    )


@pytest.mark.parametrize(
    ("target", "kind", "says"),
    [
        ("llama_factory", "rl", "no reinforcement learning"),
        ("verl", "dpo", "no preference learning"),
        ("verl", "cpt", "documents"),
    ],
)
def test_what_a_trainer_cannot_do_is_said(
    target: str, kind: str, says: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        export(data, target, tmp_path / "o", MODEL, kind)
    assert not (tmp_path / "o").exists()


def test_a_wrong_trainer_an_unknown_template_and_two_kinds_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no trainer 'swift'"):
        export(data, "swift", tmp_path / "o", MODEL, "sft")
    with pytest.raises(ConfigError, match="--template"):
        export(data, "llama_factory", tmp_path / "o", "ORG/Odd-VL", "sft")
    with pytest.raises(ConfigError, match="say which to export"):
        export(data, "ms_swift", tmp_path / "o", MODEL)


def test_the_verb_writes_settings_of_ours_and_prints_the_command(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from medxiaohe.cli import main

    where = [
        "train",
        "export",
        str(data),
        "--to",
        "ms_swift",
        "--kind",
        "sft",
        "--model",
        MODEL,
        "--out",
        str(tmp_path / "o"),
    ]
    assert main([*where, "--set", "learning_rate=0.00002", "--set", "parts.language=full"]) == 0
    assert "swift sft " in capsys.readouterr().out
    values = yaml.safe_load((tmp_path / "o" / "train.yaml").read_text())
    assert values["learning_rate"] == 2e-5 and values["tuner_type"] == "full" and "lora_rank" not in values


def test_an_adapter_folds_into_its_model_and_the_result_reloads_by_itself(
    tiny_vlm: Path, tmp_path: Path
) -> None:
    """Pain 21: what training leaves, and what merging leaves, loads with transformers' own classes and
    answers."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from medxiaohe.cli import main
    from medxiaohe.models import checkpoint
    from medxiaohe.train.loop.parts import Parts, prepare

    wrapped = prepare(checkpoint.load(str(tiny_vlm)).model, Parts(language="lora", lora_r=4), 0)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_B" in name:
                weight.normal_(0.0, 0.1)
    wrapped.save_pretrained(tmp_path / "adapter")
    assert (
        main(["train", "merge", str(tiny_vlm), str(tmp_path / "adapter"), "--out", str(tmp_path / "merged")])
        == 0
    )
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged").eval()
    processor = AutoProcessor.from_pretrained(tmp_path / "merged")
    inputs = processor(text=["The heart has"], return_tensors="pt")
    own = PeftModel.from_pretrained(checkpoint.load(str(tiny_vlm)).model, str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        assert torch.allclose(model(**inputs).logits, own(**inputs).logits, atol=1e-4)
    assert model.generate(**inputs, max_new_tokens=2).shape[1] == inputs["input_ids"].shape[1] + 2
    wrapped = prepare(checkpoint.load(str(tiny_vlm)).model, Parts(language="lora", lora_r=4), 0)
    wrapped.save_pretrained(tmp_path / "untrained")
    assert (
        main(["train", "merge", str(tiny_vlm), str(tmp_path / "untrained"), "--out", str(tmp_path / "no")])
        != 0
    )
    assert main(["train", "merge", str(tiny_vlm), str(tmp_path), "--out", str(tmp_path / "no")]) != 0


# ---- their own parsers --------------------------------------------------------------------------------


def _there(name: str) -> None:
    # LLaMA-Factory 0.9.5 refuses transformers above 5.6 on import
    os.environ.setdefault("DISABLE_VERSION_CHECK", "1")
    pytest.importorskip(name, exc_type=ImportError)


def test_llama_factory_reads_the_rows(data: Path, tmp_path: Path) -> None:
    _there("llamafactory.data.converter")
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.formatter import FunctionFormatter
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams.data_args import DataArguments

    for kind, asked, answers in (("sft", 3, 1), ("dpo", 1, 2), ("cpt", 1, 0)):
        rows, values = written(data, "llama_factory", kind, tmp_path / kind)
        arguments = DataArguments(
            **{f.name: values[f.name] for f in dataclasses.fields(DataArguments) if f.name in values}
        )
        (attributes,) = get_dataset_list(["medxiaohe"], values["dataset_dir"])
        found = [get_dataset_converter(attributes.formatting, attributes, arguments)(row) for row in rows]
        assert len(found) == asked and all(len(row["_response"]) == answers for row in found), found
        assert all(row["_prompt"] for row in found)
        if kind == "sft":
            assert found[0]["_images"] == rows[0]["images"] and found[2]["_system"] == "Be short."
            call = found[1]["_prompt"][1]
            assert call["role"] == "function" and "bmi" in json.loads(found[1]["_tools"])[0]["name"]
            assert "bmi" in str(
                FunctionFormatter(slots=["{{content}}"], tool_format="qwen").apply(content=call["content"])
            )


def test_llama_factory_knows_every_setting(data: Path, tmp_path: Path) -> None:
    _there("llamafactory.data.converter")
    from llamafactory.data.template import TEMPLATES
    from llamafactory.hparams.data_args import DataArguments
    from llamafactory.hparams.finetuning_args import FinetuningArguments
    from llamafactory.hparams.model_args import ModelArguments
    from transformers import TrainingArguments

    from medxiaohe.train.exporters import llama_factory

    known = {
        f.name
        for kind in (DataArguments, FinetuningArguments, ModelArguments, TrainingArguments)
        for f in dataclasses.fields(kind)
    }
    for kind in ("cpt", "sft", "dpo"):
        _, values = written(data, "llama_factory", kind, tmp_path / kind)
        assert not values.keys() - known
        mine = {f.name: values[f.name] for f in dataclasses.fields(FinetuningArguments) if f.name in values}
        assert FinetuningArguments(**mine).stage == {"cpt": "pt"}.get(kind, kind)
    assert set(llama_factory.TEMPLATES.values()) <= set(TEMPLATES)


def test_ms_swift_reads_the_rows(data: Path, tmp_path: Path) -> None:
    _there("swift.dataset")
    from swift.dataset import load_dataset

    for kind, number in (("sft", 3), ("dpo", 1), ("cpt", 1), ("rl", 1)):
        rows, values = written(data, "ms_swift", kind, tmp_path / kind)
        found, _ = load_dataset(
            values["dataset"], strict=True, remove_unused_columns=values["remove_unused_columns"]
        )
        assert len(found) == number
        for row, own in zip(found, rows, strict=True):
            assert [m["role"] for m in row["messages"]] == [m["role"] for m in own["messages"]]
            assert [image["path"] for image in row["images"] or []] == own["images"]
        if kind == "rl":
            assert io.sample_from_json(json.loads(found[0]["sample"])).target == "yes"


def test_ms_swift_knows_every_setting(data: Path, tmp_path: Path) -> None:
    _there("swift.dataset")
    from swift.arguments import RLHFArguments, SftArguments

    for kind, arguments in (
        ("sft", SftArguments),
        ("cpt", SftArguments),
        ("dpo", RLHFArguments),
        ("rl", RLHFArguments),
    ):
        _, values = written(data, "ms_swift", kind, tmp_path / kind)
        assert not values.keys() - {f.name for f in dataclasses.fields(arguments)}, kind


def test_ms_swift_calls_the_exported_reward(data: Path, tmp_path: Path) -> None:
    _there("swift.dataset")
    rows, values = written(data, "ms_swift", "rl", tmp_path / "o", settings=RLSettings())
    spec = importlib.util.spec_from_file_location("exported", values["external_plugins"][0])
    assert spec and spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    from swift.rewards import orms

    assert orms[values["reward_funcs"][0]]()(["yes", "no"], sample=[rows[0]["sample"]] * 2) == [1.0, 0.0]


def test_verl_reads_the_rows_and_the_reward_judges_them(data: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    rows, values = written(data, "verl", "rl", tmp_path / "rl")
    spec = importlib.util.spec_from_file_location("exported", values["custom_reward_function"]["path"])
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (row,) = rows
    truth = row["reward_model"]["ground_truth"]
    assert [
        module.compute_score(row["data_source"], said, truth, row["extra_info"])["score"]
        for said in ("yes", "no")
    ] == [1.0, 0.0]
    _there("verl.utils.dataset.rl_dataset")
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from medxiaohe.models import checkpoint

    processor = checkpoint.load(str(tiny_vlm)).processor
    config = {"filter_overlong_prompts": False, "prompt_key": "prompt", "image_key": "images"}
    found = RLHFDataset([values["data"]["train_files"]], processor.tokenizer, config, processor)
    (message,) = found._build_messages(dict(found.dataframe[0]), key="prompt")
    assert [part["type"] for part in message["content"]] == ["image", "text"]
    assert Path(message["content"][0]["image"].removeprefix("file://")).is_file()


def test_verl_composes_the_settings(data: Path, tmp_path: Path) -> None:
    _there("verl.utils.dataset.rl_dataset")
    from hydra import compose, initialize_config_dir

    for kind, settings in (("rl", RLSettings()), ("sft", FitSettings())):
        _, values = written(data, "verl", kind, tmp_path / kind, settings=settings)
        with initialize_config_dir(str(tmp_path / kind), version_base=None):
            config = compose("train", overrides=[])
        assert config.data.train_files == values["data"]["train_files"]
        model = config.actor_rollout_ref.model if kind == "rl" else config.model
        assert (model.path, model.lora_rank) == (MODEL, 16)


def test_verl_reads_conversations(data: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    rows, _ = written(data, "verl", "sft", tmp_path / "o")
    assert [message["role"] for message in rows[1]["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert (
        '"name": "bmi"' in rows[1]["messages"][0]["content"]
        and "<tool_call>" in rows[1]["messages"][2]["content"]
    )
