"""Tokens a second and peak memory of train.sft beside plain TRL and a plain Hugging Face Trainer, and what
training a part costs.

    python benchmarks/training.py                 under five minutes on one core; figures in
                                                  docs/results/training.md
    python benchmarks/training.py --parts         tokens by what of the starter is trained; figures in
                                                  docs/results/quickstart.md

Every arm trains the same randomly initialised LLaVA on the same rows with the same batch size, optimizer and
precision, from a fresh process (a fork that has imported everything and computed nothing); arms take turns,
and the median over rounds is printed. Tokens are those of rows: padding does not count. Seconds run from the
end of the second step to the end of the last, data loading included; on a CPU they are those of the processor
(one thread), which other work on the machine does not change. Without packing a batch has eight rows; a
packed one is a sequence of 512 tokens, about as many tokens as eight rows of `mixed`.

    equal     text rows of one length: what our part of the loop costs, with nothing to win
    mixed     text rows from 12 to 500 tokens, many short
    images    the same with an image in two rows of three: TRL packs no rows with images
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from medxiaohe import io, plugins

ARMS = {
    "equal": ("trl", "hf", "ours"),
    "mixed": ("trl", "hf", "ours", "trl packed", "ours packed"),
    "images": ("trl", "ours", "ours packed"),
}
BATCH, MAX_LENGTH, ROWS = 8, 512, 400
RATE = 1e-4
WORDS = (
    "the patient has fever cough and pain in chest with no effusion on image of lung heart liver kidney a"
    " dose was given".split()
)


@dataclass(frozen=True)
class Found:
    tokens: int
    seconds: float
    peak: int  # bytes
    waiting: float  # share of the seconds


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--steps", type=int, default=10)
    options.add_argument("--sets", nargs="+", choices=ARMS, default=list(ARMS))
    options.add_argument("--hidden", type=int, default=256)
    options.add_argument("--layers", type=int, default=4)
    options.add_argument("--parts", action="store_true")
    options.add_argument("--model", default="starter", help="of --parts")
    chosen = options.parse_args()
    import torch

    if chosen.parts:
        return parts(chosen.model, 2)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    plugins.need("transformers", why="this benchmark")
    import transformers  # noqa: F401  every fork has it
    import trl  # noqa: F401

    from medxiaohe.train.loop import fit  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder) / "model", chosen.hidden, chosen.layers)
        compare(model, Path(folder), chosen)
    if not torch.cuda.is_available():
        print(
            "\nMFU and the time lost to data loading on a GPU: skipped, torch sees none (benchmarks/gpu.py"
            " where there is one)"
        )


def compare(model: Path, folder: Path, chosen: argparse.Namespace) -> None:
    print(
        f"{'rows':<8} {'arm':<12} {'tokens/CPU s':>12} {'against TRL':>12} {'peak MiB':>9}"
        f" {'waits for data':>15}"
    )
    for kind in chosen.sets:
        rows = data(kind, folder / kind)
        found: dict[str, list[Found]] = {arm: [] for arm in ARMS[kind]}
        for number in range(chosen.rounds):
            for arm in ARMS[kind] if number % 2 == 0 else reversed(ARMS[kind]):
                found[arm].append(in_a_fork(lambda arm=arm, rows=rows: run(arm, model, rows, chosen.steps)))
        speeds = {arm: [one.tokens / one.seconds for one in ones] for arm, ones in found.items()}
        for arm, ones in found.items():
            ratio = median(a / b for a, b in zip(speeds[arm], speeds["trl"], strict=True))
            peak, waits = median(one.peak for one in ones) / 2**20, median(one.waiting for one in ones)
            print(
                f"{kind:<8} {arm:<12} {median(speeds[arm]):>12.0f} {ratio:>11.2f}x {peak:>9.0f}"
                f" {waits:>14.1%}",
                flush=True,
            )


def in_a_fork(work: Callable[[], Found]) -> Found:
    """What `work` found in a child process, whose memory nobody shares afterwards."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reading)
        try:
            with os.fdopen(writing, "w") as out:
                json.dump(vars(work()), out)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    os.waitpid(child, 0)
    if not text:
        sys.exit("an arm failed: see above")
    return Found(**json.loads(text))


# ---- what is trained on -----------------------------------------------------------------------------


def data(kind: str, folder: Path) -> list[Any]:
    """Samples; the same for every arm and round."""
    from PIL import Image

    from medxiaohe.types import ImageRef, Message, Sample

    chance = random.Random(0)
    folder.mkdir(parents=True)
    rows = []
    for number in range(ROWS):
        words = 60 if kind == "equal" else min(150, max(4, int(math.exp(chance.gauss(2.7, 1.1)))))
        asked: list[Any] = [" ".join(chance.choices(WORDS, k=words))]
        if kind == "images" and number % 3:
            file = folder / f"{number}.png"
            Image.new("RGB", (64, 64), (number % 256, 90, 40)).save(file)
            asked.insert(0, ImageRef(str(file)))
        answer = " ".join(chance.choices(WORDS, k=max(2, words // 4)))
        rows.append(
            Sample(
                f"{kind}/{number}",
                (Message("user", tuple(asked)), Message("assistant", (answer,))),
                source=kind,
            )
        )
    return rows


def _model(folder: Path, hidden: int, layers: int) -> Path:
    """A random LLaVA on disk, made in a fork: the process that forks must not have computed."""
    if (child := os.fork()) == 0:
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        import tiny

        tiny.build(folder, hidden=hidden, layers=layers, spread=0.02)
        os._exit(0)
    os.waitpid(child, 0)
    return folder


# ---- arms -------------------------------------------------------------------------------------------


def _now() -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


class Clock:
    """Times the steps of a trainer and counts the tokens of its batches; `warm` steps do not count."""

    def __init__(self, warm: int = 2) -> None:
        self.warm, self.tokens, self.waited = warm, list[int](), 0.0
        self.began = self.ended = 0.0

    def attach(self, trainer: Any, count: Callable[[Any], int]) -> Any:
        from transformers import TrainerCallback

        clock, collate, fetch = self, trainer.data_collator, trainer.get_batch_samples

        def counted(items: Any) -> Any:
            batch = collate(items)
            clock.tokens.append(count(batch))
            return batch

        def waited(*args: Any, **kwargs: Any) -> Any:
            start = _now()
            got = fetch(*args, **kwargs)
            clock.waited += (_now() - start) * bool(clock.began)
            return got

        class Steps(TrainerCallback):
            def on_step_end(self, _: Any, state: Any, __: Any, **___: Any) -> None:
                clock.ended = _now()
                if state.global_step == clock.warm:
                    clock.began = clock.ended

        trainer.data_collator, trainer.get_batch_samples = counted, waited
        trainer.add_callback(Steps())
        return trainer

    def found(self, steps: int, peak: int) -> Found:
        seconds = self.ended - self.began
        return Found(sum(self.tokens[self.warm : steps]), seconds, peak, self.waited / seconds)


def run(arm: str, model: Path, rows: Sequence[Any], steps: int) -> Found:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    steps += 2
    clock = Clock()
    packed = arm.endswith("packed")
    makers = {"ours": _ours, "trl": _trl, "hf": _hf}
    with tempfile.TemporaryDirectory() as place:
        makers[arm.split()[0]](model, rows, steps, packed, Path(place), clock).train()
    return clock.found(steps, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


def _settings(steps: int, packed: bool, batch: int = BATCH) -> Any:
    from medxiaohe.train.loop.fit import FitSettings
    from medxiaohe.train.loop.parts import Parts

    return FitSettings(
        parts=Parts(language="full", projector=True),
        learning_rate=RATE,
        projector_learning_rate=None,
        warmup_steps=0,
        per_device_train_batch_size=1 if packed else batch,
        max_steps=steps,
        max_length=MAX_LENGTH,
        packing=packed,
        save_steps=10**6,
        allow_contaminated=True,
    )


def _ours(model: Path, rows: Sequence[Any], steps: int, packed: bool, place: Path, clock: Clock) -> Any:
    from medxiaohe.models import checkpoint
    from medxiaohe.train.loop import batch_plan, fit
    from medxiaohe.train.loop.row_index import Reading
    from medxiaohe.train.loop.rows import Rows

    settings = _settings(steps, packed)
    loaded = checkpoint.load(str(model), fit.device())
    io.write_jsonl(place / "rows.jsonl", rows)
    own = Rows(place / "rows.jsonl", loaded.processor, Reading(str(model), MAX_LENGTH), "render")
    lengths = own.tokens
    batches = batch_plan.plan(
        lengths, settings.per_device_train_batch_size, steps, 0, MAX_LENGTH if packed else 0
    )
    trainer, _ = fit._trainer(own, batches, loaded, settings, place, steps, "train")
    sizes = iter([sum(lengths[row] for sequence in batch for row in sequence) for batch in batches])
    return clock.attach(trainer, lambda _: next(sizes))


def _trl(model: Path, rows: Sequence[Any], steps: int, packed: bool, place: Path, clock: Clock) -> Any:
    from datasets import Dataset
    from PIL import Image
    from trl import SFTConfig, SFTTrainer

    loaded = _plain(model)
    with_images = any(row.images for row in rows)

    def said(messages: Sequence[Any]) -> list[dict[str, Any]]:
        if not with_images:
            return [{"role": message.role, "content": message.text} for message in messages]
        return [
            {
                "role": m.role,
                "content": [*({"type": "image"} for _ in m.images), {"type": "text", "text": m.text}],
            }
            for m in messages
        ]

    columns: dict[str, list[Any]] = {
        "prompt": [said(r.messages[:-1]) for r in rows],
        "completion": [said(r.messages[-1:]) for r in rows],
    }
    if with_images:
        columns["images"] = [[Image.open(ref.uri) for ref in row.images] for row in rows]
    config = SFTConfig(
        output_dir=str(place),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        learning_rate=RATE,
        per_device_train_batch_size=1 if packed else BATCH,
        max_steps=steps,
        max_length=None if with_images else MAX_LENGTH,
        packing=packed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=loaded.model,
        args=config,
        train_dataset=Dataset.from_dict(columns),
        processing_class=loaded.processor if with_images else loaded.processor.tokenizer,
    )
    return clock.attach(trainer, _real)


def _hf(model: Path, rows: Sequence[Any], steps: int, packed: bool, place: Path, clock: Clock) -> Any:
    """A Trainer with rows tokenised beforehand and a collator that pads, shuffled by the Trainer: what people
    write by hand."""
    from transformers import Trainer, TrainingArguments

    from medxiaohe.models.render import batch, render

    loaded = _plain(model)
    own = [render(row.messages, loaded.processor).cut(MAX_LENGTH) for row in rows]
    config = TrainingArguments(
        output_dir=str(place),
        use_cpu=True,
        learning_rate=RATE,
        per_device_train_batch_size=BATCH,
        max_steps=steps,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    collate = lambda items: batch(items, loaded.processor)  # noqa: E731
    return clock.attach(
        Trainer(model=loaded.model, args=config, train_dataset=own, data_collator=collate), _real
    )


def _plain(model: Path) -> Any:
    from medxiaohe.models import checkpoint
    from medxiaohe.train.loop.parts import Parts, prepare

    loaded = checkpoint.load(str(model))
    prepare(loaded.model, Parts(language="full", projector=True), 0)  # the same weights are trained
    return loaded


def _real(batch: Any) -> int:
    return (
        int(batch["attention_mask"].sum()) if "attention_mask" in batch else int(batch["input_ids"].numel())
    )


# ---- a GPU ------------------------------------------------------------------------------------------


# ---- what a part costs ------------------------------------------------------------------------------


def parts(name: str, steps: int) -> None:
    """One batch of eight chest X-ray questions, forward and backward, one thread, process time."""
    import torch

    from medxiaohe.models.render import batch, render
    from medxiaohe.tasks.chest_xray import chest_xray

    torch.set_num_threads(1)
    rows = list(itertools.islice(chest_xray().samples("train"), BATCH))
    print(f"{'trained':<44} {'parameters':>12} {'CPU s/step':>11} {'tokens/CPU s':>13}")
    for label, loaded in _plans(name):
        inputs = batch([render(s.messages, loaded.processor) for s in rows], loaded.processor)
        trained = sum(weight.numel() for weight in loaded.model.parameters() if weight.requires_grad)
        seconds = _seconds(loaded.model, inputs, steps)
        print(
            f"{label:<44} {trained:>12,} {seconds:>11.2f} {inputs['input_ids'].numel() / seconds:>13.0f}",
            flush=True,
        )


def _plans(name: str) -> Iterator[tuple[str, Any]]:
    from dataclasses import replace

    from medxiaohe.models import checkpoint
    from medxiaohe.train.loop.parts import Parts, prepare

    plans = {
        "projector only": Parts(language="frozen"),
        "LoRA r=8 on q and v, projector": Parts(language="lora", lora_r=8, lora_targets="attention"),
        "LoRA r=16 on every linear layer, projector": Parts(language="lora", lora_r=16),
        "everything but the vision tower": Parts(language="full"),
        "everything": Parts(language="full", vision=True),
    }
    for label, plan in plans.items():
        loaded = checkpoint.load(name)
        yield label, replace(loaded, model=prepare(loaded.model, plan, seed=0))
    loaded = checkpoint.load(name)
    last = [f"layers.{i}." for i in range(loaded.model.config.text_config.num_hidden_layers)][-4:]
    for key, weight in loaded.model.named_parameters():
        weight.requires_grad = "language_model" in key and any(layer in key for layer in last)
    yield "last four layers", loaded


def _seconds(model: Any, inputs: Any, steps: int) -> float:
    model.train()
    start = 0.0
    for step in range(steps + 1):
        if step == 1:
            start = time.process_time()  # the first step warms up
        model(**inputs).loss.backward()
        model.zero_grad(set_to_none=True)
    return (time.process_time() - start) / steps


if __name__ == "__main__":
    main()
