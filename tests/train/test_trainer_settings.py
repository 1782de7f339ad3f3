"""Settings of speed and memory change how a step is computed, not what it is; those that cannot be are
refused before anything is loaded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.errors import ConfigError, MedError, MissingExtra
from medxiaohe.models import checkpoint
from medxiaohe.models.backends.transformers import transformers
from medxiaohe.train.agentic import AgenticSettings, agentic
from medxiaohe.train.dpo import DpoSettings, dpo
from medxiaohe.train.loop import resume
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.parts import Parts
from medxiaohe.train.rl import RLSettings, rl
from medxiaohe.train.sft import sft
from medxiaohe.types import ImageRef, Message, Sample

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
FULL = Parts(language="full", projector=True)
TASK = """
from medxiaohe.tasks import make
from medxiaohe.types import Score
from dataclasses import replace

def letters(sample, trace):
    return Score("letters", sum(c in "aeiou" for c in trace.answer) / (1 + len(trace.answer)), why="vowels")

def vowels():
    return replace(make("held_out"), name="vowels", scorers=(letters,))
"""  # a reward that differs between the answers of any model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, pictures: tuple[ImageRef, ...]) -> Path:
    """Questions with and without images, of different lengths, as instructions, prompts and pairs."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "vowels.py").write_text(TASK)
    task = f"{folder / 'vowels.py'}:vowels"
    rows = []
    for i in range(8):
        seen = (pictures[i % 3],) if i % 2 else ()
        ask = Message("user", (*seen, f"Is number {i} even? " + "Look closely. " * (i % 3)))
        said = "yes" if i % 2 == 0 else "no"
        rows.append(Sample(f"r/{i}", (ask, Message("assistant", (said,))), source="held_out", target=said))
    io.write_jsonl(folder / "instructions.jsonl", rows)
    io.write_jsonl(folder / "prompts.jsonl", [replace(row, source=task) for row in rows])
    pairs = [
        {"messages": [io.to_json(row.messages[0])], "chosen": row.target, "rejected": "perhaps"}
        for row in rows
    ]
    io.write_jsonl(folder / "pairs.jsonl", pairs)
    io.write_jsonl(folder / "passages.jsonl", [{"id": "p", "text": "Number 1 is odd."}])
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder


@pytest.fixture(scope="module")
def talker(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, a third of whose tokens end a reply: answers of different length."""
    loaded = checkpoint.load(str(tiny_vlm))
    end = loaded.model.generation_config.eos_token_id
    loaded.model.generation_config.eos_token_id = sorted({end, *range(20, 150)})
    folder = tmp_path_factory.mktemp("talker")
    checkpoint.save(loaded, folder)
    return folder


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model" / "model.safetensors")


def furthest(a: Path, b: Path) -> float:
    """The largest difference between weights of two checkpoints."""
    first, second = weights(a), weights(b)
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in io.read_jsonl(folder / "metrics.jsonl")]


POLICY: dict[str, Any] = dict(
    max_steps=2, num_generations=4, per_device_train_batch_size=8, max_completion_length=5, parts=FULL,
    optim="sgd", learning_rate=0.05, temperature=1.0, patience=0, scale_rewards="none",
)  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {"loss_type": "dapo"},
        {"loss_type": "grpo"},
        {"loss_type": "bnpo", "beta": 0.1},
        {"loss_type": "dr_grpo", "entropy_coef": 0.1},
        {"loss_type": "dapo", "entropy_target": 100.0, "entropy_coef": 0.05, "num_iterations": 2},
    ],
    ids=lambda more: "-".join(map(str, more.values())),
)
def test_a_step_in_passes_is_the_step_as_a_whole(
    more: dict[str, Any], data: Path, talker: Path, tmp_path: Path
) -> None:
    """Plain gradient descent, so that weights move by the gradient and nothing hides its size."""
    whole = RLSettings(model=str(talker), **POLICY, **more)
    rl(whole, tmp_path / "whole", data=data)
    for size in (4, 1) if more == {"loss_type": "dapo"} else (2,):
        parted = replace(whole, per_device_train_batch_size=size, gradient_accumulation_steps=8 // size)
        found = rl(parted, tmp_path / str(size), data=data)
        assert furthest(tmp_path / "whole", tmp_path / str(size)) < 2e-6
        assert found["rollouts"] == 16 // more.get("num_iterations", 1)
        assert losses(tmp_path / str(size)) == pytest.approx(losses(tmp_path / "whole"), abs=2e-4)
        answers = [list(io.read_jsonl(tmp_path / name / "rollouts.jsonl")) for name in ("whole", str(size))]
        assert answers[0] == answers[1]
    before = weights_of(talker)
    after = weights(tmp_path / "whole")
    assert max(float((before[name] - after[name]).abs().max()) for name in before) > 1e-4, "it did move"


def weights_of(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


FLOW = """
from medxiaohe.agents.engine import Answer, Ask, workflow
from medxiaohe.types import Message

@workflow
def twice(case):
    asked = list(case.prompt.messages)
    first = yield Ask("", asked)
    if any(message.images for message in asked):
        return Answer(messages=[*asked, first])
    second = yield Ask("", [*asked, Message("user", ("Once more: " + first.text,))])
    return Answer(messages=[*asked, second])
"""


def test_rows_that_no_number_of_passes_divides_are_all_learnt_from(
    data: Path, talker: Path, tmp_path: Path
) -> None:
    """Conversations of one row and of two, three and more rows in a pass."""
    (tmp_path / "flow.py").write_text(FLOW)
    settings = AgenticSettings(
        model=str(talker), workflow={"name": f"{tmp_path / 'flow.py'}:twice"}, loss_type="grpo",
        entropy_coef=0.1,
        **{**POLICY, "max_steps": 1, "num_generations": 2, "per_device_train_batch_size": 6},
    )  # fmt: skip
    agentic(settings, tmp_path / "whole", data=data)
    parted = replace(settings, per_device_train_batch_size=1, gradient_accumulation_steps=6)
    agentic(parted, tmp_path / "parted", data=data)
    assert furthest(tmp_path / "whole", tmp_path / "parted") < 2e-6
    assert furthest_from(talker, tmp_path / "whole") > 1e-4


def furthest_from(base: Path, folder: Path) -> float:
    before, after = weights_of(base), weights(folder)
    return max(float((before[name] - after[name]).abs().max()) for name in before)


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


OPTIMIZERS = ["adamw_torch_fused", "adafactor", "sgd", "adamw_8bit", "paged_adamw_8bit"]


@pytest.mark.parametrize("optim", OPTIMIZERS)
def test_every_optimizer_trains_and_a_killed_run_goes_on_to_the_same_bits(
    optim: Any, data: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "8bit" in optim:
        pytest.importorskip("bitsandbytes")
    settings = FitSettings(
        model=str(tiny_vlm), parts=FULL, max_steps=3, save_steps=1, optim=optim, learning_rate=1e-2
    )

    def train(out: Path) -> None:
        with io.publish(out) as draft:
            sft(settings, draft, data=data)

    train(tmp_path / "whole")
    real = resume._save

    def save(trainer: Any, *more: Any) -> None:
        real(trainer, *more)
        if trainer.state.global_step == 2:
            raise Killed

    with monkeypatch.context() as context:
        context.setattr(resume, "_save", save)
        with pytest.raises(Killed):
            train(tmp_path / "killed")
    train(tmp_path / "killed")
    assert furthest(tmp_path / "whole", tmp_path / "killed") == 0
    assert losses(tmp_path / "whole")[-1] < losses(tmp_path / "whole")[0]


def test_attention_and_devices_change_no_answer(data: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    asked = [row.prompt.messages for row in io.read_samples(data / "instructions.jsonl")]
    usual = transformers(str(tiny_vlm), max_new_tokens=6)
    others = [
        transformers(str(tiny_vlm), max_new_tokens=6, device_map="auto"),
        transformers(str(tiny_vlm), max_new_tokens=6, attn_implementation="eager"),
    ]
    for other in others:
        assert [m.text for m in other.reply(asked)] == [m.text for m in usual.reply(asked)]
    assert others[1].model.config._attn_implementation == "eager"
    settings = FitSettings(model=str(tiny_vlm), parts=FULL, max_steps=2)
    for name in ("sdpa", "eager"):
        sft(replace(settings, attn_implementation=name), tmp_path / name, data=data)  # type: ignore[arg-type]
    assert losses(tmp_path / "sdpa") == pytest.approx(losses(tmp_path / "eager"), abs=1e-4)
    # the rate of the third step is that of the schedule, a tenth of the first at the end
    least = replace(settings, lr_scheduler_type="cosine_with_min_lr", warmup_steps=0, max_steps=5)
    sft(least, tmp_path / "least", data=data)
    rates = [row["learning_rate"] for row in io.read_jsonl(tmp_path / "least" / "metrics.jsonl")]
    assert rates == sorted(rates, reverse=True) and settings.learning_rate / 10 < rates[-1] < rates[0]


@pytest.mark.long
def test_a_compiled_model_learns_the_same(data: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    for compiled in (False, True):
        settings = FitSettings(model=str(tiny_vlm), parts=FULL, max_steps=2, torch_compile=compiled)
        sft(settings, tmp_path / str(compiled), data=data)
    assert losses(tmp_path / "True") == pytest.approx(losses(tmp_path / "False"), abs=1e-4)
    assert furthest(tmp_path / "True", tmp_path / "False") < 1e-3


@pytest.mark.parametrize(
    "settings, kind, says",
    [
        ({"use_liger_kernel": True}, MedError, "use_liger_kernel"),
        ({"attn_implementation": "flash_attention_2"}, MedError, "flash_attention_2"),
        ({"optim": "adafactor", "sharding": "fsdp"}, ConfigError, "FSDP2 cannot shard: set optim to adamw"),
        ({"early_stopping_patience": 2}, ConfigError, "set eval_strategy to steps or epoch"),
        ({"eval_strategy": "steps"}, ConfigError, "wire the data.read stage that has it to needs.validation"),
        ({"eval_strategy": "steps", "eval_steps": 0}, ConfigError, "eval_steps must be at least 1"),
    ],
)
def test_what_cannot_run_here_is_refused_before_a_model_is_loaded(
    settings: dict[str, Any], kind: type[MedError], says: str, data: Path, tmp_path: Path
) -> None:
    """The model is no model: nothing gets as far as reading it."""
    if torch.cuda.is_available() and kind is MedError:
        pytest.skip("this machine has a GPU")
    (tmp_path / "model").mkdir()
    with pytest.raises(kind) as caught:
        sft(FitSettings(model=str(tmp_path / "model"), **settings), tmp_path / "out", data=data)
    said = str(caught.value)
    assert says in said and "\n" not in said and said.count(". ") == 0


def test_a_package_that_is_missing_is_named_with_its_command(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    gone = ("liger_kernel", "bitsandbytes", "flash_attn")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in gone else real(name, *a)
    )
    (tmp_path / "model").mkdir()
    for settings, says in (
        ({"use_liger_kernel": True}, "needs liger_kernel: pip install liger-kernel"),
        ({"optim": "adamw_8bit"}, r"needs bitsandbytes: pip install 'medxiaohe\[qlora\]'"),
        ({"attn_implementation": "flash_attention_2"}, "pip install flash-attn, or set attn_implementation"),
    ):
        model = str(tmp_path / "model")
        pairs: tuple[tuple[Any, Any], ...] = (
            (sft, FitSettings(model=model, **settings)),  # type: ignore[arg-type]
            (dpo, DpoSettings(model=model, **settings)),  # type: ignore[arg-type]
            (rl, RLSettings(model=model, **settings)),  # type: ignore[arg-type]
            (agentic, AgenticSettings(model=model, **settings, use="none")),  # type: ignore[arg-type]
        )
        for stage, made in pairs:
            with pytest.raises(MissingExtra, match=says):
                stage(made, tmp_path / "out", data=data)


def test_a_reference_that_would_move_is_refused() -> None:
    for parts in (Parts(projector=True), Parts(projector=False, vision=True)):
        with pytest.raises(ConfigError, match="set beta to 0, or train the language model with lora alone"):
            RLSettings(beta=0.1, parts=parts)
    assert RLSettings(beta=0.1, parts=Parts(projector=False)).beta == 0.1
