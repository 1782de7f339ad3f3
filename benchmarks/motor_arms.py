"""Does knowledge help tower and projector? Arms of train.motor on made-up pairs, radiographs and smears.

    python benchmarks/motor_arms.py --data made_up
    MEDXIAOHE_DATA=FOLDER python benchmarks/motor_arms.py --data chest_xray
    MEDXIAOHE_DATA=FOLDER python benchmarks/motor_arms.py --data bccd

Made-up pairs (motor_pairs.py) train a small tower from random weights. Radiographs and smears go through the
frozen tower of the starter, with reports written from their labels and boxes: they say no more than those.
All arms of a seed start from the same weights and see the same batches. Change by arm: paired bootstrap over
held-out pairs, Holm over arms.
"""

import argparse
import copy
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import motor_pairs
import numpy as np
import torch

from medxiaohe import io, plugins
from medxiaohe.evals.statistics.stats import holm, paired
from medxiaohe.models import checkpoint
from medxiaohe.models.image_report.tower import Tower
from medxiaohe.models.image_report.vocabulary import Vocabulary
from medxiaohe.scoring._findings import lexicon
from medxiaohe.tasks import _bccd
from medxiaohe.tasks.chest_xray import samples as radiographs
from medxiaohe.train.image_report import loop, measures, pairs, tags
from medxiaohe.train.image_report.examine import examine, outputs
from medxiaohe.train.image_report.learner import Learner
from medxiaohe.train.image_report.pairing import Known, Tensors
from medxiaohe.train.image_report.run import build
from medxiaohe.train.image_report.settings import MotorSettings
from medxiaohe.train.image_report.triplets import terms_of
from medxiaohe.train.loop import parts
from medxiaohe.types import Message, Sample

ARMS: dict[str, dict[str, Any]] = {
    "none": {"general": "off", "specific": "off"},
    "GK": {"general": "graph", "specific": "off"},
    "SK": {"general": "off", "specific": "queue"},
    "GK + SK": {"general": "graph", "specific": "queue"},
    "shuffled graph": {"general": "shuffled", "specific": "off"},
    "random triplets": {"general": "off", "specific": "random"},
}
SIZES: dict[str, dict[str, Any]] = {
    "made_up": {"vision": True, "width": 48, "layers": 1, "vector": 32, "per_device_train_batch_size": 16},
    "chest_xray": {"width": 48, "layers": 1, "vector": 32, "per_device_train_batch_size": 16},
    "bccd": {"width": 48, "layers": 1, "vector": 32, "per_device_train_batch_size": 16},
}
FIGURES = ("image_to_report_r1", "image_to_report_r5", "report_to_image_r1", "report_to_image_r5",
           "auc_common", "auc_rare", "nats")  # fmt: skip


# ---- pairs ----------------------------------------------------------------------------------------------


def rewritten(sample: Sample, report: str) -> Sample:
    """The images of a sample with a report."""
    asked = Message("user", (*sample.images, "Write the report."))
    return replace(sample, messages=(asked, Message("assistant", (report,))), target="", choices=())


def chest(split: str, most: int) -> Iterator[Sample]:
    """Radiographs with a report of their label: normal, bacterial or viral pneumonia, as files are named."""
    for number, sample in enumerate(radiographs("asset:chest_xray", split)):
        if number == most:
            return
        name = str(sample.meta["file"]).casefold()
        kind = next((one for one in ("bacteria", "virus") if one in name), "")
        words = {"bacteria": "Consolidation, bacterial pneumonia.", "virus": "Infiltrate, viral pneumonia."}
        yield rewritten(sample, words.get(kind, "The lungs are clear. No pneumonia."))


NUMBER = ("no", "one", "two", "three", "four")


def smears(split: str, most: int) -> Iterator[Sample]:
    """Smears with a report of their boxes: white cells and where, platelets, and about how many red cells."""
    for number, smear in enumerate(_bccd.smears("", split)):
        if number == most:
            return
        white = [box for kind, box in smear.boxes if kind == "WBC"]
        platelets = sum(kind == "Platelets" for kind, _ in smear.boxes)
        red = sum(kind == "RBC" for kind, _ in smear.boxes)
        words = [f"{NUMBER[min(4, len(white))]} white cell{'s' * (len(white) != 1)}."]
        for left, top, right, bottom in white:
            side = "left" if (left + right) / 2 < 320 else "right"
            words.append(f"White cell in the {'upper' if (top + bottom) / 2 < 240 else 'lower'} {side}.")
        words.append(f"{NUMBER[min(4, platelets)]} platelets.")
        words.append("Few red cells." if red < 8 else "Many red cells." if red > 15 else "Red cells.")
        yield rewritten(_bccd.question("motor", smear, "WBC", "", "", split), " ".join(words).capitalize())


def written(folder: Path, data: str, train: int, held: int) -> Path:
    """The pairs of one kind as samples.jsonl; held-out ones are of the split validation."""
    if data == "made_up":
        return motor_pairs.write(folder, train, 0, held)
    make = chest if data == "chest_xray" else smears
    rows = [*make("train", train), *(replace(one, split="validation") for one in make("test", held))]
    io.write_jsonl(folder / "samples.jsonl", map(io.to_json, rows))
    return folder


def small_checkpoint(folder: Path, texts: Sequence[str]) -> str:
    """A LLaVA of random weights whose tokens are words of the texts: 42 x 42 pixels, 36 image tokens."""
    plugins.need("torch", "transformers", why="a small checkpoint")
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    from medxiaohe.models.starter import CHAT_TEMPLATE

    words = Tokenizer(models.WordLevel(unk_token="<unknown>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["<unknown>", "<pad>", "<end>", "<image>"]
    words.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=special))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unknown>", pad_token="<pad>", eos_token="<end>",
        extra_special_tokens={"image_token": "<image>"}, chat_template=CHAT_TEMPLATE,
    )  # fmt: skip
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, image_size=42,
        patch_size=7,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=96, num_hidden_layers=1,
        num_attention_heads=2,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_id=3, vision_feature_layer=-1,
        image_seq_length=36,
    )  # fmt: skip
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    square = {"height": 42, "width": 42}
    LlavaProcessor(
        CLIPImageProcessorPil(size=square, crop_size=square, do_center_crop=False), tokenizer, patch_size=7,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=CHAT_TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    return str(folder)


# ---- arms -----------------------------------------------------------------------------------------------


class Trial:
    """Pairs of one kind, their tensors, and the checkpoint that all arms start from."""

    def __init__(self, data: str, train: int, held: int, place: Path):
        folder = written(place / "data", data, train, held)
        self.tags, self.settings = self._tags(data, place), MotorSettings(**SIZES[data])
        words = lexicon()
        self.train, _ = pairs.read(folder, self.tags, words, 30, "train")
        self.held, _ = pairs.read(folder, self.tags, words, 30, "validation")
        texts = [pair.report for pair in self.train]
        base = small_checkpoint(place / "base", texts) if data == "made_up" else "starter"
        self.loaded = checkpoint.load(base)
        self.tower = Tower(self.loaded)
        if parts.projector_is_fresh(self.loaded.model):
            some = [pair.image for pair in self.train[:64]]
            parts.calibrate_projector(self.loaded.model, self.tower.pixels(some))
        tokenizer = self.loaded.processor.tokenizer
        terms = terms_of(pair.triplets for pair in self.train)
        self.known = Known(tokenizer, Vocabulary.of(tokenizer, texts), terms)
        one = (self.known, self.tower, self.settings)
        self.sets = [
            Tensors(some, *one, place / f"{name}.f16")
            for name, some in (("train", self.train), ("held", self.held))
        ]
        if self.settings.vision:
            for tensors in self.sets:
                keep_pixels(tensors)
        self.first = {
            name: copy.deepcopy(part.state_dict())
            for name, part in (("projector", self.tower.projector), ("vision", self.tower.vision))
        }

    def _tags(self, data: str, place: Path) -> list[tags.Tag]:
        if data != "bccd":
            return tags.read()
        return [tags.Tag("a", "a", ("no finding",), ()), tags.Tag("b", "b", ("no finding",), ())]

    def learner(self, arm: str, seed: int, steps: int) -> Learner:
        """Train one arm."""
        off = () if len(self.tags) > 2 else ("mlc",)
        settings = replace(
            self.settings, **ARMS[arm], seed=seed, max_steps=steps, save_steps=10**6, learning_rate=2e-3,
            losses=tuple(one for one in self.settings.losses if one not in off),
        )  # fmt: skip
        self.tower.projector.load_state_dict(self.first["projector"])
        self.tower.vision.load_state_dict(self.first["vision"])
        relation = tags.by_group(self.tags)
        if settings.general == "shuffled":
            relation = tags.shuffled(relation, seed)
        learner = build(self.tower, self.sets[0], self.known, self.tags, relation, settings, self.loaded)
        with tempfile.TemporaryDirectory() as empty:
            loop.fit(learner, self.sets[0].batch, len(self.train), steps, Path(empty))
        return learner

    def figures(self, learner: Learner) -> tuple[dict[str, Any], np.ndarray]:
        """Figures of an arm, and those of each held-out pair that the paired tests compare."""
        held = self.sets[1]
        training = self.sets[0].labels.mean(0).tolist()
        found = examine(learner, held, self.tags, training, learner.settings.rare)
        each = outputs(learner, held)
        table = each["image"] @ each["text"].T
        report = held.report.numpy()
        same = report[:, None] == report[None]
        hit = [measures.recall_at(one, same, 5).astype(float) for one in (table, table.T)]
        return found, (hit[0] + hit[1]) / 2


def keep_pixels(tensors: Tensors) -> None:
    """Pixels in memory: they are small, and every arm reads them again."""
    pixels = tensors.tower.pixels([pair.image for pair in tensors.pairs])

    class Kept:
        def of(self, numbers: Sequence[int]) -> Any:
            return pixels[list(numbers)]

    tensors.features = Kept()  # type: ignore[assignment]


def lines(
    data: str, train: int, held: int, steps: int, seeds: int, arms: Sequence[str], keep: Path, runs: int
) -> Iterator[str]:
    """The table of one kind of pairs, and the paired tests; `keep` has the runs that are done."""
    key = {"data": data, "train": train, "held": held, "steps": steps}
    todo = [(seed, arm) for seed in range(seeds) for arm in arms]
    done = {(row["seed"], row["arm"]): row for row in _kept(keep) if all(row[k] == v for k, v in key.items())}
    left = [one for one in todo if one not in done][: runs or None]
    if left:
        with tempfile.TemporaryDirectory() as place:
            trial = Trial(data, train, held, Path(place))
            for seed, arm in left:
                started = time.process_time()
                found, each = trial.figures(trial.learner(arm, seed, steps))
                spent = round(time.process_time() - started, 1)
                row = {**key, "seed": seed, "arm": arm, "seconds": spent, "figures": found,
                       "retrieval": each.tolist(), "equal": counts(trial)}  # fmt: skip
                io.append_jsonl(keep, [row])
                done[seed, arm] = row
    missing = [one for one in todo if one not in done]
    whole = [seed for seed in range(seeds) if all((seed, arm) in done for arm in arms)]
    if missing:
        yield f"{len(missing)} of {len(todo)} runs are left: start again"
    if not whole:
        return
    rows = {arm: [done[seed, arm] for seed in whole] for arm in arms}
    first = rows[arms[0]][0]
    seconds = math.fsum(row["seconds"] for row in done.values()) / len(done)
    yield (
        f"{data}: {train} pairs, {first['figures']['pairs']} held out with {first['figures']['reports']}"
        f" different reports, {steps} steps, {len(whole)} seeds, {seconds:.0f} CPU seconds a run"
    )
    some = [name for name in FIGURES if name in first["figures"]]
    yield f"| arm | {' | '.join(name.replace('_', ' ') for name in some)} |"
    yield f"|---|{'---|' * len(some)}"
    for arm in arms:
        cells = [spread([row["figures"][name] for row in rows[arm]]) for name in some]
        yield f"| {arm} | {' | '.join(cells)} |"
    chance = np.mean([min(1.0, 5 * k / len(first["equal"])) for k in first["equal"]])
    yield f"recall at 5 by chance: about {chance:.3f}"
    mean = {arm: np.mean([row["retrieval"] for row in rows[arm]], axis=0).tolist() for arm in arms}
    others = [arm for arm in arms if arm != arms[0]]
    tests = [paired(mean[arms[0]], mean[arm]) for arm in others]
    yield "| against none | recall at 5, both ways: change [95 %] | p (Holm) |"
    yield "|---|---|---|"
    for arm, test, p in zip(others, tests, holm([one.p for one in tests]), strict=True):
        yield f"| {arm} | {test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}] | {p:.3f} |"


def _kept(file: Path) -> list[dict[str, Any]]:
    return list(io.read_jsonl(file)) if file.is_file() else []


def counts(trial: Trial) -> list[int]:
    """For each held-out pair, how many have the same report."""
    reports = trial.sets[1].report.tolist()
    return [reports.count(one) for one in reports]


def spread(values: Sequence[float]) -> str:
    """Mean, lowest and highest of the seeds."""
    mean = math.fsum(values) / len(values)
    return f"{mean:.3f} ({min(values):.3f}-{max(values):.3f})"


PARTS: dict[str, tuple[int, int, int, int, list[str]]] = {  # pairs, held out, steps, seeds, arms
    "made_up": (400, 150, 120, 3, list(ARMS)),
    "chest_xray": (240, 120, 60, 3, ["none", "GK", "SK", "GK + SK"]),
    "bccd": (139, 65, 60, 3, ["none", "SK", "random triplets"]),
}


def part(data: str, keep: Path, runs: int = 0) -> Iterator[str]:
    """The lines of one kind of pairs."""
    return lines(data, *PARTS[data], keep, runs)


if __name__ == "__main__":
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", choices=tuple(PARTS), help="by default all")
    options.add_argument("--keep", type=Path, default=Path("motor_runs.jsonl"), help="runs that are done")
    options.add_argument("--runs", type=int, default=0, help="most runs to start; 0: all that are left")
    given = options.parse_args()
    for name in [given.data] if given.data else list(PARTS):
        for line in part(name, given.keep, given.runs):
            print(line, flush=True)
