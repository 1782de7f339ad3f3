"""What a CPU second buys: tokens trained per CPU second, by what of the starter is trained.

    python benchmarks/training_speed.py            about two minutes on one core; figures in docs/results/quickstart.md

One batch of eight chest X-ray questions, forward and backward, one thread, process time. The choice of the quickstart
(LoRA on the query and value projections, and the projector) and of starter_135m (everything) follows from it.
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from typing import Any

from medxiaohe.models import checkpoint
from medxiaohe.models.render import batch, render
from medxiaohe.tasks.chest_xray import chest_xray
from medxiaohe.train.parts import Parts, prepare

PLANS = {
    "projector only": Parts(language="frozen"),
    "LoRA r=8 on q and v, projector": Parts(language="lora", lora_r=8, lora_targets="attention"),
    "LoRA r=16 on every linear layer, projector": Parts(language="lora", lora_r=16),
    "everything but the vision tower": Parts(language="full"),
    "everything": Parts(language="full", vision=True),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default="starter")
    options.add_argument("--steps", type=int, default=2)
    chosen = options.parse_args()
    import torch

    torch.set_num_threads(1)
    rows = list(itertools.islice(chest_xray().samples("train"), 8))
    print(f"{'trained':<44} {'parameters':>12} {'CPU s/step':>11} {'tokens/CPU s':>13}")
    for name, model, inputs in _models(chosen.model, rows):
        trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        seconds = _seconds(model, inputs, chosen.steps)
        print(f"{name:<44} {trained:>12,} {seconds:>11.2f} {inputs['input_ids'].numel() / seconds:>13.0f}", flush=True)


def _models(name: str, rows: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    for plan, parts in PLANS.items():
        loaded = checkpoint.load(name)
        yield plan, prepare(loaded.model, parts, seed=0), batch([render(s.messages, loaded.processor) for s in rows], loaded.processor)
    loaded = checkpoint.load(name)
    last = [f"layers.{i}." for i in range(loaded.model.config.text_config.num_hidden_layers)][-4:]
    for key, weight in loaded.model.named_parameters():
        weight.requires_grad = "language_model" in key and any(layer in key for layer in last)
    yield "last four layers", loaded.model, batch([render(s.messages, loaded.processor) for s in rows], loaded.processor)


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
