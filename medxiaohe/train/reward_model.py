"""Stage: a text reward model from preference pairs, trained with variants of the same facts (MedXIAOHE),
through TRL's RewardTrainer.

    pairs.jsonl of `data`   {"prompt": "...", "chosen": "...", "rejected": "..."} a line
    model/                  a sequence classifier with one output, in hub layout; `Learned(folder)` scores
                            replies with it

It starts from the language half of a vision-language checkpoint: it sees no images. Each pair is also trained
on in other forms of the same facts (rewards/variants.py). A tenth of the pairs is held out, and the summary
says how far the variants of their replies lie apart, in units of the spread of all rewards: what a reward of
form would show as a large number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, pstdev
from typing import Annotated, Any

from medxiaohe import io, plugins, progress
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.io.checkpoint_files import refuse_code
from medxiaohe.models import checkpoint
from medxiaohe.models.families import family as families
from medxiaohe.recipe.settings import HOW, decisive
from medxiaohe.rewards import variants
from medxiaohe.train.loop.fit import base_model, code, device, identity
from medxiaohe.train.loop.resume import newest, resumable
from medxiaohe.train.loop.saving import refuse_nan

HELD_OUT = 0.1  # share of the prompts whose pairs are only evaluated


@dataclass(frozen=True)
class RewardModelSettings:
    model: str = ""
    invariant: bool = True  # train on variants; false to see what they change
    learning_rate: float = 1e-5
    max_steps: int = 100
    per_device_train_batch_size: int = 8
    max_length: int = 1024
    seed: int = 0
    save_steps: Annotated[int, HOW] = 50

    def __post_init__(self) -> None:
        if (
            min(self.max_steps, self.per_device_train_batch_size, self.max_length, self.save_steps) < 1
            or self.learning_rate <= 0
        ):
            raise ConfigError(
                "max_steps, per_device_train_batch_size, max_length, save_steps and learning_rate must be"
                " above 0"
            )


@dataclass(frozen=True)
class Pair:
    prompt: str
    chosen: str
    rejected: str


def reward_model(
    settings: RewardModelSettings,
    out: Path,
    *,
    data: Path,
    model: Path | None = None,
    tree: Path | None = None,
) -> dict[str, Any]:
    """`tree` gives synonyms for the variants. DataError for a row that is no pair, or for fewer than ten.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder with pairs.jsonl.
        model: folder of a training stage to start from; None: `settings.model`.
        tree: folder of a built tree, whose synonyms make variants.

    Returns:
        the summary of the stage: `accuracy`, `apart`, ...

    Raises:
        DataError: a row is not a pair, or there are fewer than ten.
    """
    base = base_model(settings, model)
    train, held_out = split(read(data / "pairs.jsonl"), settings.seed)
    names = variants.synonyms(Tree.load(tree)) if tree is not None else None
    rows = [row for pair in train for row in (in_forms(pair, names) if settings.invariant else [pair])]
    scratch = io.scratch(
        out, ["reward model", decisive(settings), io.content(data, "pairs.jsonl"), identity(base), code()]
    )
    head, tokenizer = classifier(base)
    trainer, meter = _trainer(head, tokenizer, rows, settings, scratch)
    checkpoint_folder = newest(scratch)
    meter.advance(int(Path(checkpoint_folder).name) if checkpoint_folder else 0)
    trainer.train(resume_from_checkpoint=checkpoint_folder)
    meter.close()
    refuse_nan(trainer.model, "reward model")
    trainer.model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    history = [row for row in trainer.state.log_history if "loss" in row]
    io.write_jsonl(
        out / "metrics.jsonl",
        ({key: row[key] for key in ("step", "loss", "accuracy", "margin")} for row in history),
    )
    learned = Learned(out / "model", settings.max_length)
    return {
        "base": base,
        "pairs": len(train),
        "rows": len(rows),
        "loss_last": round(history[-1]["loss"], 4),
        **examined(learned, held_out),
    }


def read(path: Path) -> list[Pair]:
    """Read the pairs of a file, in order.

    Args:
        path: JSON lines of prompt, chosen and rejected.

    Returns:
        At least ten pairs.

    Raises:
        DataError: a row lacks a key, or there are fewer than ten.
    """
    results = []
    for number, row in enumerate(io.read_jsonl(path), 1):
        try:
            results.append(Pair(str(row["prompt"]), str(row["chosen"]), str(row["rejected"])))
        except KeyError as error:
            raise DataError(
                f"{path}:{number}: a pair has prompt, chosen and rejected; this one has no {error}"
            ) from error
    if len(results) < 10:
        raise DataError(
            f"{path}: {len(results)} pairs; a reward model needs at least 10, of which one in ten is held out"
        )
    return results


def split(pairs: Sequence[Pair], seed: int) -> tuple[list[Pair], list[Pair]]:
    """Hold out a tenth of the prompts; pairs of one prompt stay together.

    Args:
        pairs: all pairs.
        seed: of the hash that selects prompts.

    Returns:
        (training pairs, held-out pairs)
    """
    prompts = sorted(
        {pair.prompt for pair in pairs}, key=lambda prompt: io.unit_interval(str(seed), "held out", prompt)
    )
    held = set(prompts[: max(1, round(HELD_OUT * len(prompts)))])
    return [pair for pair in pairs if pair.prompt not in held], [
        pair for pair in pairs if pair.prompt in held
    ]


def in_forms(pair: Pair, names: variants.Names | None = None) -> list[Pair]:
    """Rewrite a pair in other forms of the same facts (rewards/variants.py).

    Args:
        pair: the pair.
        names: lower-case name -> names of the same entity; None: no synonyms.

    Returns:
        The pair itself first, then its variants.
    """
    return [
        Pair(pair.prompt, good, bad) for good, bad in variants.pairs(pair.chosen, pair.rejected, names=names)
    ]


def examined(learned: Learned, pairs: Sequence[Pair], seed: int = 0) -> dict[str, Any]:
    """Evaluate a reward model: accuracy on pairs, and how far it tells variants of the same facts apart.

    Args:
        learned: the reward model.
        pairs: held out.
        seed: of the variants.

    Returns:
        {held_out, accuracy, apart: kind of variant -> mean |difference of reward| in standard deviations of
        all rewards}
    """
    # r(chosen), r(rejected); their standard deviation is the unit, since only differences mean something
    good = learned.rewards([(pair.prompt, pair.chosen) for pair in pairs])
    bad = learned.rewards([(pair.prompt, pair.rejected) for pair in pairs])
    unit = pstdev([*good, *bad]) or 1.0
    apart: dict[str, list[float]] = {}
    # |r(variant) - r(chosen)| / unit, by kind of variant: 0 for a model that does not see form
    for pair, own in zip(pairs, good, strict=True):
        forms = dict(variants.variants(pair.chosen, seed))
        for kind, value in zip(
            forms, learned.rewards([(pair.prompt, text) for text in forms.values()]), strict=True
        ):
            apart.setdefault(kind, []).append(abs(value - own) / unit)
    # accuracy: share of pairs with r(chosen) > r(rejected); a tie is wrong
    right = mean(a > b for a, b in zip(good, bad, strict=True))
    return {
        "held_out": len(pairs),
        "accuracy": round(right, 4),
        "apart": {kind: round(mean(values), 4) for kind, values in apart.items()},
    }


def classifier(base: str) -> tuple[Any, Any]:
    """Build a sequence classifier with the language weights of a checkpoint and a fresh head.

    Args:
        base: name of the checkpoint.

    Returns:
        (model with one output, its tokenizer)

    Raises:
        ModelError: transformers has no classifier of this architecture.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    loaded = checkpoint.load(base)
    config = _language(loaded)
    tokenizer = loaded.processor.tokenizer
    # a head of one output over the last token, its first weights drawn with a fixed seed
    config.num_labels, config.pad_token_id = 1, tokenizer.pad_token_id
    torch.manual_seed(0)
    try:
        head = AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        raise ModelError(
            f"a reward model cannot start from {base!r}: transformers has no classifier of a"
            f" {config.model_type}"
        ) from error
    getattr(head, head.base_model_prefix).load_state_dict(loaded.model.get_decoder().state_dict())
    return head.to(loaded.model.dtype), tokenizer


def _language(loaded: checkpoint.Loaded) -> Any:
    """The configuration of the language half, as that of a plain language model."""
    from transformers import AutoConfig

    config = loaded.model.config.get_text_config()
    plain = families.of(loaded.processor).language.get(config.model_type)
    if plain is None:
        return config
    settings = {name: value for name, value in config.to_dict().items() if name != "model_type"}
    rope = settings["rope_parameters"].items()
    settings["rope_parameters"] = {name: value for name, value in rope if not name.startswith("mrope")}
    return AutoConfig.for_model(plain, **settings)


class Learned:
    """Rewards of a trained reward model: unbounded numbers, of which only differences mean something."""

    def __init__(self, folder: Path, max_length: int = 1024):
        plugins.need("torch", "transformers", why="a reward model")
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        refuse_code(Path(folder))
        reader = AutoModelForSequenceClassification
        self.model = reader.from_pretrained(folder, use_safetensors=True).eval().to(device())
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.max_length = max_length

    def rewards(self, replies: Sequence[tuple[str, str]]) -> list[float]:
        """Compute rewards, one reply at a time, so that padding cannot change them.

        Args:
            replies: (prompt, reply).

        Returns:
            Unbounded numbers, in order.
        """
        import torch

        results = []
        for prompt, reply in replies:  # one by one: padding must not change a reward
            text = prompt + "\n" + reply + self.tokenizer.eos_token
            inputs = self.tokenizer(
                text, return_tensors="pt", truncation=True, max_length=self.max_length
            ).to(self.model.device)
            inputs.pop("token_type_ids", None)
            with torch.no_grad():
                results.append(float(self.model(**inputs).logits[0, 0]))
        return results


def _trainer(
    head: Any, tokenizer: Any, rows: Sequence[Pair], settings: RewardModelSettings, work: Path
) -> tuple[Any, progress.Meter]:
    from datasets import Dataset
    from transformers import TrainerCallback
    from transformers.trainer_callback import PrinterCallback
    from trl import RewardConfig, RewardTrainer

    on_cpu = device() == "cpu"
    # TRL: -log sigmoid(r(chosen) - r(rejected)) (Bradley-Terry), and 0.01 (r(chosen) + r(rejected))^2, which
    # keeps rewards near 0
    config = RewardConfig(
        output_dir=str(work), use_cpu=on_cpu, bf16=not on_cpu, gradient_checkpointing=False,
        learning_rate=settings.learning_rate,
        max_steps=settings.max_steps, per_device_train_batch_size=settings.per_device_train_batch_size,
        max_length=settings.max_length,
        seed=settings.seed, data_seed=settings.seed, logging_steps=1, save_strategy="steps",
        save_steps=settings.save_steps,
        center_rewards_coefficient=0.01, report_to="none", disable_tqdm=True,
    )  # fmt: skip
    meter = progress.Meter("reward model", settings.max_steps)

    class Show(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.advance()

    columns = [
        {"prompt": pair.prompt + "\n", "chosen": pair.chosen, "rejected": pair.rejected} for pair in rows
    ]
    trainer = resumable(RewardTrainer, work)(
        model=head,
        args=config,
        train_dataset=Dataset.from_list(columns),
        processing_class=tokenizer,
        callbacks=[Show()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, meter
