"""What this machine's GPU does with a model of real shape: exactness, MFU of fine-tuning, a step of GRPO.

    python benchmarks/gpu.py --minutes 10 --json gpu.json      one GPU; about ten minutes
    python benchmarks/gpu.py --size toy --minutes 0.2          the same at toy size, also on a CPU

The model is a random Qwen3-VL of 1.4 B or 2.1 B weights, with the real classes, processor and chat
template; the stages are those that recipes run (train.sft, train.rl). Rows have 40 to 400 words, with an
image of about 1 MP in two of three where the name says `mixed`.

    exact       logits and the losses of three steps of a tiny model, here and on the CPU, both in float32
    sft         lora, full, packed (text rows in sequences of max_length), mixed (images and text, full)
    grpo        a step of GRPO: seconds, and sampled tokens a second

MFU counts the operations of the model (train/loop/forecast.py) without what gradient checkpointing repeats,
over the peak of dense bfloat16 products; padding counts as no work. The time between two steps, when the
trainer waits for its next batch, writes its log and nothing else, is the share `waiting`. The first two
steps of each arm are not counted.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.types import ImageRef, Message, Sample

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

WORDS = (
    "the patient has fever cough and pain in chest with no effusion on image of lung heart liver kidney a"
    " dose was given"
).split()
WARM = 2  # steps that are not counted
MOST = 100_000  # steps of an arm; time ends it before
VOCABULARY = 151_936


@dataclass(frozen=True)
class Size:
    """Of the language model and of its tower; `side` of the images in pixels, `batch` rows on one device."""

    hidden: int
    layers: int
    heads: int
    wide: int
    vocabulary: int
    tower: tuple[int, int]  # width, layers
    side: int
    batch: int
    max_length: int
    rows: int


SIZES = {
    "toy": Size(32, 3, 4, 48, 0, (16, 3), 96, 2, 512, 24),
    "1b": Size(2048, 16, 16, 6144, VOCABULARY, (1024, 24), 1024, 4, 4096, 400),
    "2b": Size(2048, 28, 16, 6144, VOCABULARY, (1024, 24), 1024, 4, 4096, 400),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="for all arms together (default 10)")
    parser.add_argument("--size", choices=SIZES, help="default: 1b where torch sees a GPU, toy elsewhere")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = parser.parse_args()
    plugins.need("torch", "transformers", "trl", why="this benchmark")
    import torch

    size = chosen.size or ("1b" if torch.cuda.is_available() else "toy")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), size, chosen.minutes)
    if chosen.json:
        io.write_json(chosen.json, found)


def measure(folder: Path, name: str, minutes: float) -> dict[str, Any]:
    """All figures, printed as they come."""
    import torch

    from medxiaohe.train.loop import fit

    size, device = SIZES[name], fit.device()
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device != "cpu" else "cpu",
        "versions": {one: importlib.metadata.version(one) for one in ("torch", "transformers", "trl")},
        "size": name,
        "exact": exact(folder, device),
    }
    print(f"{found['device']}, {found['versions']}\nexact: {found['exact']}", flush=True)
    model = build(folder / "model", size)
    seconds = 60 * minutes / 5
    found["sft"] = {}
    for arm in ("lora", "full", "packed", "mixed"):
        try:
            found["sft"][arm] = one = tuned(arm, model, folder / arm, size, seconds)
        except ConfigError as error:  # what this family of models cannot do
            found["sft"][arm] = one = {"refused": str(error)}
        print(f"{arm}: {shown(one)}", flush=True)
    found["grpo"] = sampled(model, folder / "grpo", size, seconds)
    print(f"grpo: {shown(found['grpo'])}", flush=True)
    return found


def shown(one: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in one.items())


# ---- the model and its rows --------------------------------------------------------------------------


def build(folder: Path, size: Size) -> str:
    """A random checkpoint of the size, with the processor and chat template of Qwen3-VL."""
    import tiny_families
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    from medxiaohe.models import checkpoint

    tiny = str(tiny_families.build("qwen3_vl", folder))
    if not size.vocabulary:
        return tiny
    processor, config = checkpoint.processor(tiny), AutoConfig.from_pretrained(tiny)
    processor.image_processor.size = {"shortest_edge": 64 * 64, "longest_edge": size.side * size.side}
    width, layers = size.tower
    text = {
        "hidden_size": size.hidden, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads // 2, "head_dim": size.hidden // size.heads,
        "intermediate_size": size.wide, "vocab_size": size.vocabulary, "initializer_range": 0.02,
        "max_position_embeddings": 32_768,
    }  # fmt: skip
    config.text_config.rope_parameters["mrope_section"] = [24, 20, 20]
    vision = {
        "hidden_size": width, "depth": layers, "num_heads": 16, "intermediate_size": 4 * width,
        "out_hidden_size": size.hidden, "num_position_embeddings": 2304, "initializer_range": 0.02,
        "deepstack_visual_indexes": [5, 11, 17],
    }  # fmt: skip
    for part, values in ((config.text_config, text), (config.vision_config, vision)):
        for key, value in values.items():
            setattr(part, key, value)
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = True
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    place = folder / "sized"
    checkpoint.save(checkpoint.Loaded(model, processor, "random"), place)
    return str(place)


def mixture(folder: Path, size: Size, pictures: bool) -> Path:
    """Rows of a mixture: instructions, and prompts whose answers a scorer reads."""
    from PIL import Image

    dice, rows = random.Random(0), []
    (folder / "images").mkdir(parents=True)
    files = []
    for number in range(16 if pictures else 0):
        noise = Image.effect_noise((128, 128), 60 + number).resize((size.side, size.side - 8 * number % 64))
        files.append(folder / "images" / f"{number}.jpg")
        noise.convert("RGB").save(files[-1], quality=90)
    short = 10 if size.side < 1024 else 1  # of a toy, rows are short as well
    for number in range(size.rows):
        seen = [ImageRef(str(files[number % len(files)]))] if pictures and number % 3 else []
        asked = " ".join(dice.choices(WORDS, k=dice.randint(20, 200) // short))
        answer = " ".join(dice.choices(WORDS, k=dice.randint(20, 200) // short))
        talk = (Message("user", (*seen, asked)), Message("assistant", (answer,)))
        rows.append(Sample(f"r/{number}", talk, target="yes", source="held_out"))
    io.write_jsonl(folder / "instructions.jsonl", rows)
    io.write_jsonl(folder / "prompts.jsonl", rows)
    return folder


# ---- arms --------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """When steps began and ended, with the GPU's work finished; ends the training when its time is over."""

    seconds: float
    least: int = WARM + 2
    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def callback(self) -> type:
        from transformers import TrainerCallback

        clock = self

        class Timed(TrainerCallback):  # type: ignore[misc]
            def on_step_begin(self, *_: Any, **__: Any) -> None:
                clock.began.append(_now())

            def on_step_end(self, _: Any, __: Any, control: Any, **___: Any) -> None:
                clock.ended.append(_now())
                counted = clock.ended[-1] - clock.began[0]
                if len(clock.ended) >= clock.least and counted >= clock.seconds:
                    control.should_training_stop = True

        return Timed

    def figures(self) -> tuple[int, float, float]:
        """Counted steps, their seconds, and the share of these between two steps."""
        start, end = self.ended[WARM - 1], self.ended[-1]
        inside = sum(b - a for a, b in zip(self.began[WARM:], self.ended[WARM:], strict=True))
        return len(self.ended) - WARM, end - start, 1 - inside / (end - start)


def _now() -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def timed(seconds: float) -> Iterator[Clock]:
    """Every trainer that starts inside is timed."""
    from transformers.trainer import DEFAULT_CALLBACKS

    clock = Clock(seconds)
    DEFAULT_CALLBACKS.append(clock.callback())
    try:
        yield clock
    finally:
        DEFAULT_CALLBACKS.pop()


def tuned(arm: str, model: str, folder: Path, size: Size, seconds: float) -> dict[str, Any]:
    """Fine-tuning by train.sft."""
    import torch

    from medxiaohe.train.loop import fit, gpus
    from medxiaohe.train.loop.fit import FitSettings
    from medxiaohe.train.loop.parts import Parts
    from medxiaohe.train.sft import sft

    on_gpu = fit.device() != "cpu"
    sees = arm == "mixed"
    data = mixture(folder / "data", size, pictures=sees)
    settings = FitSettings(
        model=model, max_steps=MOST, allow_contaminated=True, save_steps=2 * MOST, warmup_steps=0,
        parts=Parts(language="lora" if arm == "lora" else "full", projector=sees, vision=sees),
        per_device_train_batch_size=1 if arm == "packed" else size.batch, packing=arm == "packed",
        max_length=size.max_length, dataloader_num_workers=4 if on_gpu else 0, learning_rate=1e-5,
        projector_learning_rate=None, oversize="drop",
    )  # fmt: skip
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    (folder / "out").mkdir()
    with timed(seconds) as clock:
        summary = sft(settings, folder / "out", data=data)
    steps, spent, waiting = clock.figures()
    tokens = summary["tokens"] / summary["rows"] * settings.per_device_train_batch_size
    if arm == "packed":
        tokens = size.max_length * summary["fill"]
    flops = steps * tokens * operations(model, settings, tokens / settings.per_device_train_batch_size, size)
    known = gpus.of_device(torch.cuda.get_device_name()) if on_gpu else None
    return {
        "steps": steps,
        "tokens_per_second": round(steps * tokens / spent, 1),
        "mfu": round(flops / spent / known.flops, 4) if known else None,
        "waiting": round(waiting, 4),
        "fill": summary["fill"],
        "peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
        "estimated_bytes": summary["estimated_bytes"],
    }


def operations(model: str, settings: Any, length: float, size: Size) -> float:
    """Of a token, forward and backward, as the model needs them: nothing is computed twice."""
    from medxiaohe.train.loop import forecast

    images = 2 / 3 if settings.parts.vision else 0.0
    rows = forecast.Rows(int(length), size.side**2, images)
    return forecast.operations(forecast.prepared(settings, model), rows, max(1, int(length)))


def sampled(model: str, folder: Path, size: Size, seconds: float) -> dict[str, Any]:
    """Steps of GRPO by train.rl, answers drawn by transformers."""
    from medxiaohe.train.loop.parts import Parts
    from medxiaohe.train.rl import RLSettings, rl

    batch = 4 * size.batch
    data = mixture(folder / "data", size, pictures=True)
    settings = RLSettings(
        model=model, max_steps=MOST if size.vocabulary else 8, allow_contaminated=True, save_steps=2 * MOST,
        parts=Parts(language="lora", projector=False), per_device_train_batch_size=batch, num_generations=4,
        max_completion_length=128 if size.vocabulary else 8, patience=0,
    )  # fmt: skip
    (folder / "out").mkdir()
    with timed(seconds) as clock:
        rl(settings, folder / "out", data=data)
    steps, spent, waiting = clock.figures()
    rows = list(io.read_jsonl(folder / "out" / "metrics.jsonl"))[WARM:]
    tokens = sum(row["answer_tokens"] for row in rows) * batch
    return {
        "steps": steps,
        "seconds_per_step": round(spent / steps, 3),
        "sampled_tokens_per_second": round(tokens / spent, 1),
        "waiting": round(waiting, 4),
    }


def exact(folder: Path, device: str) -> dict[str, float]:
    """The largest difference of logits, and of the losses of three steps, between the CPU and the device."""
    import tiny_families
    import torch

    from medxiaohe.models import checkpoint
    from medxiaohe.train.loop.parts import Parts, prepare
    from medxiaohe.train.loop.row_index import Reading
    from medxiaohe.train.loop.rows import Rows

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    tiny = str(tiny_families.build("qwen3_vl", folder / "exact"))
    data = mixture(folder / "exact-data", SIZES["toy"], pictures=True)
    seen: dict[str, tuple[Any, list[float]]] = {}
    for place in ("cpu", device):
        loaded = checkpoint.load(tiny, place, master=True)
        rows = Rows(data / "instructions.jsonl", loaded.processor, Reading(tiny, 4096), "render")
        inputs = {key: value.to(place) for key, value in rows.batch([[0], [1], [2], [3]]).items()}
        model = prepare(loaded.model, Parts(language="full", vision=True), 0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        with torch.no_grad():
            logits = model(**inputs).logits.cpu()
        losses = []
        for _ in range(3):
            loss = model(**inputs).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss.detach()))
        seen.setdefault(place, (logits, losses))
    (one, first), (two, second) = seen["cpu"], seen[device]
    return {
        "logits": float((one - two).abs().max()),
        "losses": max(abs(a - b) for a, b in zip(first, second, strict=True)),
    }


if __name__ == "__main__":
    main()
