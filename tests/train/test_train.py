"""Training stages on a tiny model: they learn, they touch only what they were told to, two runs give the same
bytes."""

from pathlib import Path

import pytest
from curves import tracked

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.models import checkpoint
from medxiaohe.models.render import render
from medxiaohe.train.cpt import cpt
from medxiaohe.train.loop import checks, saving
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.parts import Parts, calibrate_projector, part_of, projector_is_fresh
from medxiaohe.train.loop.row_index import Reading
from medxiaohe.train.loop.rows import Rows
from medxiaohe.train.rl import RLSettings, judge, rl
from medxiaohe.train.sft import sft
from medxiaohe.types import ImageRef, Message, Sample

torch = pytest.importorskip("torch")
FULL = Parts(language="full", projector=True)


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    """Red squares are "yes", blue ones "no"; two short documents; yes/no questions of the task held_out."""
    from PIL import Image

    rows = []
    for number in range(16):
        name = tmp_path / f"{number}.png"
        Image.new("RGB", (32, 32), (220, 20, 20) if number % 2 else (20, 20, 220)).save(name)
        answer = "yes" if number % 2 else "no"
        question = Message("user", (ImageRef(str(name)), "Is it red? Answer yes or no."))
        rows.append(
            Sample(
                f"r/{number}", (question, Message("assistant", (answer,))), target=answer, source="held_out"
            )
        )
    folder = tmp_path / "mixture"
    io.write_jsonl(folder / "instructions.jsonl", rows)
    io.write_jsonl(folder / "prompts.jsonl", rows[:8])
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    documents = (Message("document", (f"The heart has {i} chambers.",)) for i in range(4))
    io.write_jsonl(
        folder / "documents.jsonl", (Sample(f"d/{i}", (document,)) for i, document in enumerate(documents))
    )
    return folder


def weights(folder: Path) -> dict[str, "torch.Tensor"]:
    return dict(checkpoint.load(str(folder)).model.state_dict())


def changed(before: Path, after: Path) -> set[str]:
    a, b = weights(before), weights(after)
    return {part_of(name) for name in a if not torch.equal(a[name], b[name])}


def test_fine_tuning_lowers_the_loss_and_logs_what_it_saw(
    mixture: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    summary = sft(
        FitSettings(model=str(tiny_vlm), parts=FULL, learning_rate=3e-3, max_steps=12),
        tmp_path / "o",
        data=mixture,
    )
    assert summary["loss_last"] < 0.7 * summary["loss_first"]
    assert summary["steps"] == 12 and summary["rows_with_pixels"] == 16 == summary["rows"]
    assert len(list(io.read_jsonl(tmp_path / "o" / "metrics.jsonl"))) == 12


@pytest.mark.parametrize(
    ("parts", "moves"),
    [
        (Parts(language="lora", lora_r=4, projector=False), {"language"}),
        (Parts(language="frozen", projector=True), {"projector"}),
        (Parts(language="full", projector=True, vision=True), {"language", "projector", "vision"}),
    ],
)
def test_only_the_parts_asked_for_are_trained(
    parts: Parts, moves: set[str], mixture: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    sft(FitSettings(model=str(tiny_vlm), parts=parts, max_steps=2), tmp_path / "o", data=mixture)
    assert changed(tiny_vlm, tmp_path / "o" / "model") == moves


def test_two_runs_leave_the_same_bytes(mixture: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    settings = FitSettings(model=str(tiny_vlm), parts=Parts(language="lora", lora_r=4), max_steps=3)
    for name in ("a", "b"):
        sft(settings, tmp_path / name, data=mixture)
    for file in ("metrics.jsonl", "model/model.safetensors"):
        assert io.sha256(tmp_path / "a" / file) == io.sha256(tmp_path / "b" / file), file


def test_pretraining_learns_from_documents_and_hands_its_model_on(
    mixture: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    first = cpt(
        FitSettings(model=str(tiny_vlm), parts=FULL, learning_rate=3e-3, max_steps=4),
        tmp_path / "cpt",
        data=mixture,
    )
    assert first["rows_with_pixels"] == 0 and first["trained_tokens"] == first["tokens"]
    second = sft(FitSettings(parts=FULL, max_steps=1), tmp_path / "sft", data=mixture, model=tmp_path / "cpt")
    assert second["base"] == str(tmp_path / "cpt" / "model")


def test_curves_of_rewards_reach_a_tracker_and_change_nothing(
    mixture: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    for name, report_to in (("a", ()), ("b", ("tensorboard",))):
        if report_to:
            pytest.importorskip("tensorboard")
        settings = RLSettings(
            model=str(tiny_vlm),
            parts=FULL,
            max_steps=2,
            per_device_train_batch_size=8,
            max_completion_length=4,
            report_to=report_to,
        )
        rl(settings, tmp_path / name / "1", data=mixture)
    for file in ("metrics.jsonl", "rollouts.jsonl", "model/model.safetensors"):
        assert io.sha256(tmp_path / "a" / "1" / file) == io.sha256(tmp_path / "b" / "1" / file), file
    rewards = [row["reward"] for row in io.read_jsonl(tmp_path / "b" / "1" / "metrics.jsonl")]
    assert len(rewards) == 2 and tracked(tmp_path / "b" / "tracked", "train/reward") == pytest.approx(
        rewards, abs=1e-3
    )


def test_reinforcement_learning_is_rewarded_by_the_tasks_own_scorer(
    mixture: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    sft(
        FitSettings(model=str(tiny_vlm), parts=FULL, learning_rate=3e-3, max_steps=12),
        tmp_path / "sft",
        data=mixture,
    )
    settings = RLSettings(parts=FULL, max_steps=2, per_device_train_batch_size=8, max_completion_length=4)
    summary = rl(settings, tmp_path / "rl", data=mixture, model=tmp_path / "sft")
    rollouts = list(io.read_jsonl(tmp_path / "rl" / "rollouts.jsonl"))
    assert summary["steps"] == 2 and summary["rollouts"] == 16 == len(rollouts)
    samples = {sample.id: sample for sample in io.read_samples(mixture / "prompts.jsonl")}
    from medxiaohe.tasks.held_out import held_out

    for row in rollouts:
        score = judge(held_out(), samples[row["sample"]], row["answer"])
        assert (score.value, score.status) == (row["reward"], row["status"])


def test_prompts_with_and_without_images_share_batches(mixture: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    text = [
        Sample(
            f"t/{i}", (Message("user", ("Is 2 even? Answer yes or no.",)),), target="yes", source="held_out"
        )
        for i in range(5)
    ]
    io.write_jsonl(tmp_path / "mixed" / "prompts.jsonl", [*io.read_samples(mixture / "prompts.jsonl"), *text])
    short = {"max_steps": 6, "per_device_train_batch_size": 8, "max_completion_length": 2}
    with pytest.raises(ConfigError, match="was compared with no test split"):
        rl(RLSettings(model=str(tiny_vlm), parts=FULL, **short), tmp_path / "rl", data=tmp_path / "mixed")
    settings = RLSettings(model=str(tiny_vlm), parts=FULL, allow_contaminated=True, **short)
    rl(settings, tmp_path / "rl", data=tmp_path / "mixed")
    asked = [row["sample"][0] for row in io.read_jsonl(tmp_path / "rl" / "rollouts.jsonl")]
    assert set(asked) == {"r", "t"} and any(len(set(asked[i : i + 8])) == 2 for i in range(0, 48, 8))


def test_a_calibrated_projector_speaks_as_loud_as_words(mixture: Path, tiny_vlm: Path) -> None:
    loaded = checkpoint.load(str(tiny_vlm))
    rows = [render(s.messages, loaded.processor) for s in io.read_samples(mixture / "instructions.jsonl")]
    pixels = torch.cat([row.features["pixel_values"] for row in rows])
    loaded.model.config.projector_is_fresh = True
    calibrate_projector(loaded.model, pixels)
    assert not projector_is_fresh(loaded.model)
    with torch.no_grad():
        spoken = torch.stack(loaded.model.get_image_features(pixel_values=pixels).pooler_output)
    words = loaded.model.get_input_embeddings().weight.std()
    assert abs(float((spoken.std() / words).detach()) - 1) < 0.05


def test_a_part_no_gradient_reaches_stops_the_run(
    mixture: Path, tiny_vlm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The field's commonest fault, made on purpose: the vision tower runs without gradients although it was
    to be trained."""
    loaded = checkpoint.load(str(tiny_vlm))
    tower = loaded.model.model.vision_tower
    monkeypatch.setattr(tower, "forward", torch.no_grad()(tower.forward))
    rows = Rows(mixture / "instructions.jsonl", loaded.processor, Reading(str(tiny_vlm), 512), "render")
    with pytest.raises(ModelError, match="no gradient reaches the vision"):
        checks.check_gradients(loaded.model, rows, Parts(language="full", vision=True))


def test_weights_that_are_not_finite_are_never_saved(tiny_vlm: Path) -> None:
    model = checkpoint.load(str(tiny_vlm)).model
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = float("nan")
    with pytest.raises(ModelError, match="not finite"):
        saving.refuse_nan(model, "sft")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Parts(language="frozen", projector=False), "nothing to train"),
        (lambda: FitSettings(learning_rate=0), "learning_rate must be above 0"),
        (lambda: RLSettings(per_device_train_batch_size=6), "multiple of num_generations"),
    ],
)
def test_contradictory_settings_are_refused(make: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()  # type: ignore[operator]


def test_no_rows_and_no_model_are_one_sentence(tiny_vlm: Path, tmp_path: Path, mixture: Path) -> None:
    io.write_jsonl(tmp_path / "empty" / "instructions.jsonl", [])
    with pytest.raises(DataError, match="no rows to train on"):
        sft(
            FitSettings(model=str(tiny_vlm), allow_contaminated=True), tmp_path / "o", data=tmp_path / "empty"
        )
    with pytest.raises(ConfigError, match="no model"):
        sft(FitSettings(), tmp_path / "o", data=mixture)
