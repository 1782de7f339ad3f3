"""The specialist of MedCoT: a sparse mixture of experts whose answers, vote and gate can be seen."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from medxiaohe import io, plugins
from medxiaohe.agents.medcot import medcot
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.models.backends.experts import experts
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.train.moe import MoeSettings, moe, read_rationales
from medxiaohe.types import ImageRef, Message, Prompt, Sample

torch = pytest.importorskip("torch")
TINY = MoeSettings(
    text="ngrams", tower="colours", epochs=15, width=32, learning_rate=3e-3, allow_contaminated=True
)
SIGNS = ("effusion", "fracture", "nodule", "oedema")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions whose image and words say nothing; the rationale names a sign, which decides in 9 of 10."""
    from PIL import Image

    folder, chance = tmp_path_factory.mktemp("moe"), random.Random(0)
    for number in range(4):
        noise = chance.randbytes(32 * 32 * 3)  # of the seed: Image.effect_noise draws anew in each process
        Image.frombytes("RGB", (32, 32), noise).save(folder / f"{number}.png")
    rows, told = [], []
    for number in range(160):
        sign = chance.choice(SIGNS)
        right = "yes" if sign in SIGNS[:2] else "no"
        target = right if chance.random() < 0.9 else {"yes": "no", "no": "yes"}[right]
        image = ImageRef(str(folder / f"{number % 4}.png"))
        asked = Message("user", (image, f"Is case {number} ill? Answer yes or no."))
        said = Message("assistant", (target,))
        sample = Sample(f"w/{number}", (asked, said), target, source="held_out", study_id=f"case {number}")
        rows.append(sample)
        told.append({"id": sample.id, "rationale": f"There is a {sign} on the left.", "caption": "An image."})
    io.write_jsonl(folder / "prompts.jsonl", rows)
    io.write_jsonl(folder / "rationales.jsonl", told)
    return folder


@pytest.fixture(scope="module")
def knows(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "out"
    with io.publish(out) as draft:
        moe(replace(TINY, rationales=str(world / "rationales.jsonl")), draft, data=world)
    return out


def test_rationales_help_and_shuffled_ones_do_not(world: Path, tmp_path: Path) -> None:
    found = {}
    for use in ("with", "without", "shuffled"):
        settings = replace(TINY, rationales=str(world / "rationales.jsonl"), use=use)  # type: ignore[arg-type]
        with io.publish(tmp_path / use) as draft:
            found[use] = moe(settings, draft, data=world)
    assert found["with"]["gate"] >= 0.75 and found["with"]["vote"] >= 0.75
    assert max(found["without"]["gate"], found["shuffled"]["gate"]) <= found["with"]["gate"] - 0.1
    assert len(found["with"]["experts"]) == 6 and found["without"]["with_rationale"] == 0


def test_the_checkpoint_is_the_best_on_validation_and_all_answers_are_shown(knows: Path) -> None:
    curve = list(io.read_jsonl(knows / "metrics.jsonl"))
    best = max(curve, key=lambda row: (row["accuracy"], -row["eval_loss"]))
    rows = list(io.read_jsonl(knows / "answers.jsonl"))
    assert best["accuracy"] == pytest.approx(
        sum(row["gate"] == row["target"] for row in rows) / len(rows), abs=1e-4
    ), "the answers are those of the checkpoint that validation chose"
    for row in rows:
        assert len(row["experts"]) == len(row["weights"]) == 6
        assert sum(row["weights"]) == pytest.approx(1.0, abs=1e-4)
        counts = [row["experts"].count(one) for one in set(row["experts"])]
        assert row["experts"].count(row["vote"]) == max(counts)


def test_weights_over_experts_sum_to_one_for_each_word_and_two_are_used() -> None:
    from medxiaohe.models.experts.network import routed

    weights = routed(torch.randn(5, 7, 6, generator=torch.Generator().manual_seed(0)), 2)
    assert torch.allclose(weights.sum(-1), torch.ones(5, 7)) and bool(((weights > 0).sum(-1) == 2).all())


def test_of_experts_that_disagree_the_vote_is_the_plurality_then_the_weight() -> None:
    from medxiaohe.models.experts.specialist import voted

    assert voted(("yes", "no", "no"), (0.8, 0.1, 0.1)) == "no"
    assert voted(("yes", "no"), (0.6, 0.4)) == "yes" and voted(("yes", "no"), (0.4, 0.6)) == "no"


def _told(sign: str, talk: Sequence[Message]) -> str:
    """Say what the rationales and captions of the training rows say."""
    return "An image." if "Describe in" in talk[-1].text else f"There is a {sign} on the left."


def test_a_trained_specialist_plays_the_experts_of_the_workflow(knows: Path, world: Path) -> None:
    asked = Message("user", (ImageRef(str(world / "0.png")), "Is case 7 ill? Answer yes or no."))
    model = plugins.load("models", "experts")(str(knows / "model"))
    for sign, right in (("effusion", "yes"), ("oedema", "no")):
        words = scripted(answer=partial(_told, sign))
        cast = {"": words, **{f"expert_{n}": model for n in range(1, 7)}}
        (trace,) = medcot([Prompt("p", (asked,), ("yes", "no"))], cast)
        assert trace.answer == f"Answer: {right}", sign


def test_what_cannot_be_meant_is_one_sentence(world: Path, tmp_path: Path, knows: Path) -> None:
    with pytest.raises(ConfigError, match=r"top must be from 1 to experts \(2\), not 3"):
        replace(TINY, experts=2, top=3)
    with pytest.raises(ConfigError, match="use: shuffled needs rationales"):
        replace(TINY, use="shuffled")
    with pytest.raises(ConfigError, match="has experts 1 to 6, not 9"):
        experts(str(knows / "model"), 9)
    with pytest.raises(ModelError, match=r"is no folder of train\.moe"):
        experts(str(tmp_path))
    io.write_jsonl(tmp_path / "prompts.jsonl", [Sample("1", (Message("user", ("?",)),), source="held_out")])
    with pytest.raises(DataError, match="has a gold answer"):
        moe(TINY, tmp_path / "out", data=tmp_path)
    io.write_jsonl(tmp_path / "other.jsonl", [{"id": "x", "rationale": "y"}])
    rows = list(io.read_samples(world / "prompts.jsonl"))
    with pytest.raises(DataError, match="no row has the id of one of the 160 questions"):
        read_rationales(replace(TINY, rationales=str(tmp_path / "other.jsonl")), rows)


def test_shuffled_rationales_are_those_of_another_row(world: Path) -> None:
    rows = list(io.read_samples(world / "prompts.jsonl"))
    given = {use: read_rationales(replace(TINY, rationales=str(world / "rationales.jsonl"), use=use), rows)
             for use in ("with", "shuffled")}  # type: ignore[arg-type]  # fmt: skip
    assert sorted(given["with"].values()) == sorted(given["shuffled"].values())
