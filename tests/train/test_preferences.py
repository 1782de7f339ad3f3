"""HeteroRAG's three kinds of knowledge preferences (HR-6), from answers that a real model gave, into
train.dpo."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.models import checkpoint
from medxiaohe.train import preferences as stage
from medxiaohe.train.dpo import DpoSettings, dpo
from medxiaohe.train.loop.pairs import FILE, read
from medxiaohe.train.loop.parts import Parts
from medxiaohe.train.preferences import OTHER_IMAGE, WITH_ALL, PreferenceSettings, paired, preferences, ways
from medxiaohe.train.rollouts.knowledge import Knowledge, asked
from medxiaohe.types import ImageRef, Message, Sample

pytest.importorskip("torch")
pytest.importorskip("trl")
COLOURS = {"red": (200, 20, 20), "blue": (20, 20, 200), "grey": (120, 120, 120)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures to ask about, six reports of other pictures, two passages."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("preferences")
    rows, reports = [], []
    for number in range(6):
        name = list(COLOURS)[number % 3]
        for kind in ("own", "other"):
            shade = tuple(c + 5 * number + (kind == "other") for c in COLOURS[name])
            Image.new("RGB", (40, 40), shade).save(folder / f"{kind}{number}.png")
        question = Message(
            "user", (ImageRef(str(folder / f"own{number}.png")), f"Is number {number} red? Answer yes or no.")
        )
        said = "yes" if name == "red" else "no"
        rows.append(Sample(f"r/{number}", (question, Message("assistant", (said,))), said, source="held_out"))
        reports.append(
            {"id": f"report{number}", "text": f"The picture is {name}.", "image": f"other{number}.png"}
        )
    io.write_jsonl(folder / "prompts.jsonl", rows)
    io.write_jsonl(folder / "reports.jsonl", reports)
    io.write_jsonl(
        folder / "docs.jsonl",
        [{"id": "d1", "text": "Number 1 is blue."}, {"id": "d2", "text": "Answer number 3 with care."}],
    )
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder


@pytest.fixture(scope="module")
def known(folder: Path, tiny_vlm: Path) -> tuple[list[Sample], Knowledge]:
    samples = list(io.read_samples(folder / "prompts.jsonl"))
    loaded = checkpoint.load(str(tiny_vlm))
    return samples, Knowledge(
        samples, loaded, str(folder / "reports.jsonl"), str(folder / "docs.jsonl"), 2, 2
    )


def test_a_prompt_is_asked_with_everything_without_each_part_and_with_the_least_similar_image(
    known: Any,
) -> None:
    samples, knowledge = known
    found = ways(samples[0], knowledge)
    assert list(found) == [
        WITH_ALL,
        "without reports",
        "without docs",
        "without reports and docs",
        OTHER_IMAGE,
    ]
    texts = {how: messages[-1].text for how, messages in found.items()}
    assert (
        "no basis of the answer" in texts[WITH_ALL]
        and "[d1]" in texts[WITH_ALL]
        and "[report0]" in texts[WITH_ALL]
    )
    assert "[report" not in texts["without reports"] and "[d1]" in texts["without reports"]
    assert "[d1]" not in texts["without docs"] and "[report" in texts["without docs"]
    assert texts["without reports and docs"].strip() == samples[0].prompt.messages[-1].text
    own, other = (found[how][-1].images[0].uri for how in (WITH_ALL, OTHER_IMAGE))
    assert own == samples[0].images[0].uri and other != own
    vectors = knowledge.vectors
    assert all(vectors[other] @ vectors[own] <= vectors[ref.uri] @ vectors[own] for ref in knowledge.pool)


def test_the_three_kinds_and_nothing_else_become_pairs(known: Any) -> None:
    samples, knowledge = known

    def kinds(**values: float | None) -> list[tuple[str, str, str, str]]:
        names = {
            "all": WITH_ALL,
            "reports": "without reports",
            "docs": "without docs",
            "both": "without reports and docs",
            "other": OTHER_IMAGE,
        }
        row = {
            "replies": {names[k]: f"says {k}" for k in values},
            "values": {names[k]: v for k, v in values.items()},
        }
        return [
            (p["kind"], p["k"], p["chosen"], p["rejected"]) for p in paired(samples[0], row, knowledge, 0.5)
        ]

    assert kinds(all=1, other=0) == [("cross-modal", "image", "says all", "says other")]
    assert kinds(all=1, other=1) == kinds(all=0, other=1) == kinds(all=0, other=0) == [], (
        "an answer that is right is not rejected"
    )
    assert kinds(all=1, reports=0, docs=1) == [("use", "reports", "says all", "says reports")]
    assert kinds(all=0, both=1, docs=0) == [("robustness", "reports and docs", "says both", "says all")]
    assert kinds(all=None, both=1) == kinds(all=1, both=None) == []
    assert Counter(kind for kind, *_ in kinds(all=1, reports=0, docs=0, both=0, other=0)) == {
        "use": 3,
        "cross-modal": 1,
    }
    row = {
        "replies": {WITH_ALL: "a", "without docs": "b", "without reports": "b"},
        "values": {WITH_ALL: 1, "without docs": 0, "without reports": 0},
    }
    assert len(list(paired(samples[0], row, knowledge, 0.5))) == 1, "the same two replies once"


@pytest.mark.slow
def test_answers_of_a_model_become_pairs_that_can_be_learned(
    folder: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiny model is fine-tuned to say yes or no at random places, so that some answers differ; then the
    pairs train it."""
    from medxiaohe.train.loop.fit import FitSettings
    from medxiaohe.train.sft import sft

    samples = list(io.read_samples(folder / "prompts.jsonl"))
    loaded = checkpoint.load(str(tiny_vlm))
    knowledge = Knowledge(samples, loaded, str(folder / "reports.jsonl"), str(folder / "docs.jsonl"), 2, 2)
    rows = []
    # right without passages, wrong with them, for every second question
    for number, sample in enumerate(samples):
        wrong = "no" if sample.target == "yes" else "yes"
        for how, messages in ways(sample, knowledge).items():
            right = (how == WITH_ALL) != (number % 2 == 0)
            rows.append(
                Sample(
                    f"{sample.id}/{how}",
                    (*messages, Message("assistant", (sample.target if right else wrong,))),
                )
            )
    io.write_jsonl(tmp_path / "taught" / "instructions.jsonl", rows)
    settings = FitSettings(
        model=str(tiny_vlm), parts=Parts(language="full"), learning_rate=5e-3, max_steps=60,
        per_device_train_batch_size=15,
        allow_contaminated=True,
    )  # fmt: skip
    sft(settings, tmp_path / "sft", data=tmp_path / "taught")
    given = PreferenceSettings(
        reports=str(folder / "reports.jsonl"), docs=str(folder / "docs.jsonl"), max_new_tokens=3
    )
    asked_of: list[int] = []
    real = stage._replies

    def counted(chunk: Any, *rest: Any) -> Any:
        asked_of.append(len(chunk))
        if len(asked_of) == 2:
            raise KeyboardInterrupt
        return real(chunk, *rest)

    monkeypatch.setattr(stage, "CHUNK", 4)
    monkeypatch.setattr(stage, "_replies", counted)
    with pytest.raises(KeyboardInterrupt):
        preferences(given, tmp_path / "out", data=folder, model=tmp_path / "sft")
    summary = preferences(given, tmp_path / "out", data=folder, model=tmp_path / "sft")
    assert asked_of == [4, 2, 2], "what was answered before the kill is not asked again"
    pairs = read(tmp_path / "out" / FILE)
    assert summary["pairs"] == len(pairs) and set(summary["kinds"]) >= {"use", "robustness"}
    values = {row["id"]: row for row in io.read_jsonl(tmp_path / "out" / "replies.jsonl")}
    for row in io.read_jsonl(tmp_path / "out" / FILE):
        told = values[row["id"].rpartition("/")[0]]
        judged = {text: told["values"][how] for how, text in told["replies"].items()}
        assert judged[row["chosen"]] == 1 and judged[row["rejected"]] == 0
    learned = dpo(
        DpoSettings(
            parts=Parts(language="full", projector=False), max_steps=8, learning_rate=1e-3, warmup_steps=0
        ),
        tmp_path / "dpo",
        data=tmp_path / "out",
        model=tmp_path / "sft",
    )
    assert learned["loss_last"] < learned["loss_first"] and learned["kinds"] == summary["kinds"]


def test_a_report_without_an_image_and_answers_without_a_preference_are_told(
    folder: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    io.write_jsonl(tmp_path / "reports.jsonl", [{"id": "a", "text": "Clear."}])
    with pytest.raises(DataError, match="the report 'a' has no image"):
        preferences(
            PreferenceSettings(model=str(tiny_vlm), reports=str(tmp_path / "reports.jsonl")),
            tmp_path / "o",
            data=folder,
        )
    with pytest.raises(DataError, match="no preference in the answers to 6 prompts"):
        preferences(PreferenceSettings(model=str(tiny_vlm), max_new_tokens=1), tmp_path / "o", data=folder)


def test_asking_changes_neither_earlier_turns_nor_the_question(known: Any) -> None:
    samples, knowledge = known
    talk = Sample(
        "t",
        (Message("user", ("Hi",)), Message("assistant", ("Hello.",)), Message("user", ("Is number 1 red?",))),
    )
    messages = asked(talk, knowledge.of(talk))
    assert (
        messages[:2] == talk.messages[:2]
        and messages[-1].text.endswith("Is number 1 red?")
        and len(messages) == 3
    )
    assert samples
