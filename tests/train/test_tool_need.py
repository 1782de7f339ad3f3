"""Which prompts need a tool: from answers without, with and with forced tool use, and by local detail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agentic_for_tests import knows, library, mixture, picture, short

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.train.agentic import Retriever, agentic
from medxiaohe.types import ImageRef, Message, Sample

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
__all__ = ["knows", "library", "mixture", "picture"]  # fixtures


def test_what_a_prompt_needs_follows_from_three_ways_of_asking() -> None:
    from medxiaohe.train.tool_need import ToolNeedSettings, need

    settings = ToolNeedSettings(retriever=Retriever(url="http://127.0.0.1:9/x"), enough=0.75, margin=0.25)
    for none, allowed, forced, expected in [
        (1.0, 1.0, 1.0, "none"), (0.75, 0.75, 0.5, "none"), (0.5, 0.75, 0.5, "allowed"), (0.0, 0.0, 0.5,
        "forced"),
        (0.0, 0.0, 0.0, ""), (0.5, 0.5, 0.5, ""), (0.75, 1.0, 1.0, "allowed"),
    ]:  # fmt: skip
        assert need({"none": none, "allowed": allowed, "forced": forced}, settings) == expected


def test_what_needs_no_local_detail_or_takes_too_few_calls_needs_no_tool() -> None:
    from medxiaohe.train.tool_need import ToolNeedSettings, need

    base = {"none": 0.0, "allowed": 1.0, "forced": 1.0, "calls": 1.5}
    settings = ToolNeedSettings(retriever=Retriever(url="http://127.0.0.1:9/x"), least_calls=2)
    assert need(base, settings) == "" and need({**base, "calls": 2.0}, settings) == "allowed"
    assert need({**base, "calls": 2.0, "coarse": 0.75}, settings) == "", "the whole image is not needed"
    assert need({**base, "calls": 2.0, "coarse": 0.5}, settings) == "allowed"
    assert need({**base, "none": 1.0, "coarse": 1.0}, settings) == "none"


def test_the_layer_of_local_detail_asks_with_shrunk_images(picture: ImageRef, tmp_path: Path) -> None:
    """A model that sees the corner of a large image, and guesses on a small one."""
    from medxiaohe.models.backends.scripted import scripted
    from medxiaohe.tasks import make
    from medxiaohe.train.tool_need import ToolNeedSettings, coarse

    seen: list[tuple[int, int]] = []

    class Sees:
        name = "sees"

        def with_seed(self, _: int) -> Any:
            return scripted(answer=self.answer)

        def answer(self, messages: Any) -> str:
            from medxiaohe.images import size_of

            (image,) = messages[0].images
            seen.append(size_of(image))
            return f"<answer>{'yes' if max(seen[-1]) > 30 else 'no'}</answer>"

    asked = Message("user", (picture, "Is there a mark?"))
    sample = Sample("1", (asked, Message("assistant", ("yes",))), "yes", source="held_out")
    settings = ToolNeedSettings(retriever=Retriever(url="http://127.0.0.1:9/x"), coarse_side=24, draws=2)
    rows: list[dict[str, Any]] = [{"id": "1"}]
    coarse(rows, [sample], {"held_out": make("held_out")}, Sees(), settings, tmp_path / "shrunk")
    assert rows[0]["coarse"] == 0.0 and set(seen) == {(24, 20)}
    wide = ToolNeedSettings(retriever=Retriever(url="http://127.0.0.1:9/x"), coarse_side=99, draws=2)
    coarse(rows, [sample], {"held_out": make("held_out")}, Sees(), wide, tmp_path / "shrunk")
    assert rows[0]["coarse"] == 1.0


@pytest.mark.slow
def test_filtered_prompts_are_answered_as_the_filter_said(
    mixture: Path, knows: Path, library: Path, tmp_path: Path
) -> None:
    from medxiaohe.train.tool_need import ToolNeedSettings, tool_need

    given_ = ToolNeedSettings(
        retriever=Retriever(path=str(library), top=2),
        draws=8,
        max_new_tokens=40,
        margin=0.1,
        enough=0.5,
        temperature=0.7,
    )
    summary = tool_need(given_, tmp_path / "need", data=mixture, model=knows)
    rows = list(io.read_jsonl(tmp_path / "need" / "tool_need.jsonl"))
    kept = {sample.id for sample in io.read_samples(tmp_path / "need" / "prompts.jsonl")}
    assert (
        kept == {row["id"] for row in rows if row["need"]}
        and summary["kept"] == len(kept)
        and len(rows) == 12
    )
    with pytest.raises(ConfigError, match=r"wire a train\.tool_need stage"):
        agentic(short(library, use="filtered"), tmp_path / "no", data=mixture, model=knows)
    chosen = [{**row, "need": use} for row, use in zip(rows, ["none", "forced", ""] * 4, strict=True)]
    io.write_jsonl(tmp_path / "need" / "tool_need.jsonl", chosen)
    io.write_jsonl(tmp_path / "need" / "prompts.jsonl", io.read_samples(mixture / "prompts.jsonl"))
    agentic(
        short(library, use="filtered", max_steps=4, per_device_train_batch_size=8),
        tmp_path / "out",
        data=tmp_path / "need",
        model=knows,
    )
    uses = {row["id"]: row["need"] for row in chosen}
    for row in io.read_jsonl(tmp_path / "out" / "rollouts.jsonl"):
        assert uses[row["sample"]] in ("none", "forced"), "what there is nothing to learn from is not asked"
        if uses[row["sample"]] == "none":
            assert not row["parts"]["used"]
        elif not row["parts"]["used"]:
            assert row["reward"] in (0.0, None), "a tool was to be used"
