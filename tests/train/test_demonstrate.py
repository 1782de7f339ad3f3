"""Demonstrations of tool use: the tools really run, what is wrong is left out, and training sees the bytes a
rollout shows."""

from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.tasks.bedside import ASKED, bedside
from medxiaohe.tasks.bedside import samples as bedside_samples
from medxiaohe.tools.toolbox import task_tools
from medxiaohe.types import Message, Sample, ToolResult

pytest.importorskip("torch")
from medxiaohe.models import checkpoint
from medxiaohe.models.render import render, render_prompt
from medxiaohe.train.demonstrate import DemonstrateSettings, demonstrate
from medxiaohe.train.loop.row_index import Reading
from medxiaohe.train.loop.rows import Rows

EXPERT = "medxiaohe.tasks.bedside:expert"


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    old = [
        Sample(f"old/{i}", (Message("user", (f"Is {i} even?",)), Message("assistant", ("yes",))))
        for i in range(0, 40, 2)
    ]
    io.write_jsonl(tmp_path / "m" / "instructions.jsonl", old)
    io.write_json(
        tmp_path / "m" / "mixture.json", {"contamination": {"checked": {"bedside": 300}, "removed": 0}}
    )
    return tmp_path / "m"


def test_the_expert_shows_calls_whose_results_are_real(mixture: Path, tmp_path: Path) -> None:
    summary = demonstrate(
        DemonstrateSettings("bedside", EXPERT, number=12, replay=0.5), tmp_path / "o", data=mixture
    )
    assert (summary["shown"], summary["kept"], summary["with_calls"], summary["replayed"]) == (12, 12, 12, 6)
    rows = [row for row in io.read_samples(tmp_path / "o" / "instructions.jsonl") if row.source == "bedside"]
    for row in rows:
        assert [message.role for message in row.messages] == ["user", "assistant", "tool", "assistant"]
        (result,) = [part for part in row.messages[2].parts if isinstance(part, ToolResult)]
        assert result.parts and not result.error


class Liar:
    name = "liar"

    def reply(self, conversations: Any, tools: Any = ()) -> list[Message]:
        return [Message("assistant", ("7",)) for _ in conversations]


liar = Liar()


def test_what_is_not_right_is_no_demonstration(mixture: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="solved none of 4 items of bedside"):
        demonstrate(
            DemonstrateSettings("bedside", f"{__file__}:liar", number=4), tmp_path / "o", data=mixture
        )
    with pytest.raises(ConfigError, match="one of the two"):
        DemonstrateSettings("bedside")


def test_training_sees_the_tokens_of_the_rollout_tools_included(
    mixture: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    """Pain 19: tools that are in the prompt of a rollout are in that of training, byte for byte, and their
    results carry no loss."""
    demonstrate(DemonstrateSettings("bedside", EXPERT, number=3, replay=0.0), tmp_path / "o", data=mixture)
    processor = checkpoint.load(str(tiny_vlm)).processor
    tools = task_tools(bedside())
    file = tmp_path / "o" / "instructions.jsonl"
    rows = Rows(file, processor, Reading(str(tiny_vlm), 4096), "render")
    for number, sample in enumerate(io.read_samples(file)):
        seen = rows.row(number)
        assert seen == render(sample.messages, processor, tools=tools)
        for turns in (1, 3):
            prompt = render_prompt(sample.messages[:turns], processor, tools).tokens
            assert seen.tokens[: len(prompt)] == prompt and not any(
                seen.mask[: len(render_prompt(sample.messages[:1], processor, tools).tokens)]
            )
        said = processor.tokenizer.decode(
            [token for token, keep in zip(seen.tokens, seen.mask, strict=True) if keep]
        )
        assert '"arguments"' in said and "additionalProperties" not in said


def test_patients_of_bedside_are_in_one_split_and_the_test_has_words_of_its_own() -> None:
    rows = {split: list(bedside_samples(split)) for split in ("train", "validation", "test")}
    patients = {split: {row.patient_id for row in found} for split, found in rows.items()}
    assert not patients["train"] & patients["test"] and not patients["train"] & patients["validation"]
    assert not patients["validation"] & patients["test"]
    own = [form.partition("{")[0] for _, form in ASKED.values()]
    asked = {
        split: sum(row.messages[0].text.startswith(tuple(own)) for row in found)
        for split, found in rows.items()
    }
    assert asked["train"] == asked["validation"] == 0 and asked["test"] > 60
