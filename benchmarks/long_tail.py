"""Does choosing rows by entity help the long tail? The same small model on equal token budgets of three
selections (arXiv 2604.25296).

    MEDXIAOHE_DATA=... python benchmarks/long_tail.py --tree out/tree/tree/1 --out out/long_tail     figures
    in docs/results/long_tail.md

    random      rows as they come
    modality    as many rows of each modality bucket: radiography, CT, MR, ultrasound, other, text (what the
                paper argues against)
    entity      rows by the rarity of their entities: data.mixture with a temperature

The pool is PubMed abstracts, MedQuAD answers and radiology captions, linked to the tree and decontaminated
against its own held-out rows (data.read, data.curate, data.mixture). A Llama of 1.2 M random weights reads
each selection once. Examined on held-out rows: perplexity of the tokens inside mentions, by the bucket of the
entity in the pool (head has half of all mentions, torso the next 30 %, tail the rest), and a question for
each mention: which of four entities of the same kind and bucket stands here? It is answered by likelihood,
less that of the name without its context. Half of the held-out rows are for choosing rates, half are the
test.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.data.curate import Against, CurateSettings, curate
from medxiaohe.data.mixture import MixtureSettings, mixture
from medxiaohe.data.read import ReadSettings, Source, read
from medxiaohe.entity.linking.finder import finder
from medxiaohe.entity.tree.frequency import BUCKETS, buckets
from medxiaohe.progress import track
from medxiaohe.types import Annotations, Message, Provenance, Sample

VOCABULARY, WINDOW, BATCH = 4096, 128, 4
CONTEXT, AFTER = 64, 12  # tokens before and after a mention that a question has
ARMS = ("random", "modality", "entity")
MODALITIES = {  # what the tree calls a way of imaging -> bucket
    "radiograph": "radiography", "x-ray": "radiography", "tomograph": "CT", "magnetic": "MR",
    "ultraso": "ultrasound", "": "other",
}  # fmt: skip
T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--tree", type=Path, required=True, help="folder of an entity.build stage")
    options.add_argument(
        "--out", type=Path, required=True, help="pool, figures: a run that was killed goes on"
    )
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--tokens", type=int, default=300_000, help="of each selection")
    options.add_argument("--pubmed", type=int, default=10_000)
    options.add_argument("--medquad", type=int, default=8_000)
    options.add_argument("--documents", type=int, default=400, help="held-out rows examined")
    options.add_argument("--questions", type=int, default=250, help="of each bucket")
    options.add_argument("--temperature", type=float, default=4.0, help="of the arm `entity`")
    options.add_argument("--rate", type=float, default=3e-3)
    options.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    options.add_argument("--validate", action="store_true", help="examine on the validation half")
    chosen = options.parse_args()
    pool = prepared(chosen)
    exam = examination(pool, chosen)
    done = chosen.out / f"rows{'-validation' if chosen.validate else ''}.jsonl"
    rows: list[dict[str, Any]] = list(io.read_jsonl(done)) if done.exists() else []
    for seed in range(chosen.seeds):
        for arm in chosen.arms:
            key = {
                "arm": arm,
                "seed": seed,
                "rate": chosen.rate,
                "tokens": chosen.tokens,
                "temperature": chosen.temperature,
            }
            if any(key.items() <= row.items() for row in rows):
                continue
            began = time.process_time()
            rows.append({**key, **one_run(arm, seed, pool, exam, chosen)})
            rows[-1]["cpu"] = round(time.process_time() - began)
            io.write_jsonl(done, rows)
            print(rows[-1], flush=True)
    print(
        f"\n{chosen.seeds} seeds, {chosen.tokens:,} tokens each; mean and 95 % interval over seeds, then"
        " paired differences"
    )
    print(table([row for row in rows if row["rate"] == chosen.rate and row["tokens"] == chosen.tokens]))


# ---- the pool
# ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pool:
    folder: Path  # samples.jsonl: what may be trained on, `source` is the modality bucket
    held_out: list[Sample]
    bucket: dict[str, str]  # of each entity of the pool
    kind: dict[str, str]
    words: Any  # the tokenizer
    tree: Path


def prepared(chosen: argparse.Namespace) -> Pool:
    root, folder = Path(os.environ["MEDXIAOHE_DATA"]), chosen.out / "pool"
    kinds = {row["id"]: (row["kind"], row["name"]) for row in io.read_jsonl(chosen.tree / "entities.jsonl")}
    if not (folder / "curated" / "samples.jsonl").is_file():
        captions = {"columns": {"text": "caption", "id": "id", "license": "licence"}}
        sources = (
            Source(
                reader="pubmed_xml",
                path="asset:pubmed_2020",
                name="pubmed",
                limit=chosen.pubmed,
                hold_out=0.1,
            ),
            Source(
                reader="medquad_xml",
                path=str(root / "corpus/medquad"),
                name="medquad",
                limit=chosen.medquad,
                hold_out=0.1,
            ),
            Source(
                reader="table",
                path=str(root / "corpus/roco_captions_cui.jsonl"),
                name="roco",
                hold_out=0.1,
                options=captions,
            ),
        )
        for name in ("read", "texts", "curated"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        read(ReadSettings(sources), folder / "read", tree=chosen.tree)
        io.write_jsonl(
            folder / "texts" / "samples.jsonl",
            (as_text(s, kinds) for s in io.read_samples(folder / "read" / "samples.jsonl")),
        )
        curate(
            CurateSettings(against=(Against("held_out"),), filters=()),
            folder / "curated",
            corpus=folder / "texts",
            tree=chosen.tree,
        )
    samples = list(io.read_samples(folder / "curated" / "samples.jsonl"))
    tests = (s for s in io.read_samples(folder / "texts" / "samples.jsonl") if s.split == "test")
    held_out = [replace(s, messages=s.messages[:1]) for s in tests]
    counts = Counter(entity for sample in samples for entity in sample.entities)
    characters = sum(len(s.text) for s in samples) / 1e6
    print(
        f"pool: {len(samples):,} rows, {characters:.1f} million characters, {len(counts):,} entities;"
        f" {len(held_out):,} rows held out"
    )
    print("buckets of modality:", dict(Counter(s.source for s in samples).most_common()), flush=True)
    kind = {id: kind for id, (kind, _) in kinds.items()}
    return Pool(folder / "curated", held_out, buckets(counts), kind, tokenizer(samples), chosen.tree)


def as_text(sample: Sample, kinds: dict[str, tuple[str, str]]) -> Sample:
    """The row as a document whose source is its modality bucket: that of the first way of imaging that a
    caption names."""
    name = next(
        (kinds[e][1].casefold() for e in sample.entities if kinds.get(e, ("",))[0] == "modality"), None
    )
    found = (
        next(bucket for word, bucket in MODALITIES.items() if word in name)
        if name and sample.source == "roco"
        else None
    )
    bucket = found or ("other" if sample.source == "roco" else "text")
    messages = (Message("document", (sample.text,)),)
    if sample.split == "test":  # as a question: documents are no test items for data.curate
        messages = (Message("user", (sample.text,)), Message("assistant", ("-",)))
    bare = replace(sample, meta={}, annotations=Annotations(), provenance=Provenance())
    return replace(bare, messages=messages, source=bucket, target="", choices=())


def tokenizer(samples: Sequence[Sample]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    some = random.Random(0).sample(samples, min(3000, len(samples)))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, special_tokens=["<end>"], show_progress=False
    )
    words.train_from_iterator([s.text for s in some], trainer)
    return words


# ---- training
# ----------------------------------------------------------------------------------------------------------


def one_run(arm: str, seed: int, pool: Pool, exam: Exam, chosen: argparse.Namespace) -> dict[str, Any]:
    tokens, selected = selection(arm, seed, pool, chosen)
    model = trained(tokens, seed, chosen.rate, f"{arm} {seed}")
    mentions = Counter(pool.bucket[entity] for sample in selected for entity in sample.entities)
    seen = Counter(
        pool.bucket[entity] for entity in {entity for sample in selected for entity in sample.entities}
    )
    row: dict[str, Any] = {
        "rows": len(selected),
        "sources": dict(Counter(s.source for s in selected).most_common()),
    }
    row |= {f"mentions_{name}": mentions[name] for name in BUCKETS} | {
        f"entities_{name}": seen[name] for name in BUCKETS
    }
    return row | perplexities(model, exam) | answers(model, exam)


def selection(arm: str, seed: int, pool: Pool, chosen: argparse.Namespace) -> tuple[list[int], list[Sample]]:
    """Exactly as many tokens for each arm, the last row cut."""
    ways: dict[str, dict[str, Any]] = {
        "modality": {"quantity": 0.0, "fill": True},
        "entity": {"temperature": chosen.temperature},
    }
    number, tokens, rows = chosen.tokens // 180, list[int](), list[Sample]()
    while len(tokens) < chosen.tokens:
        folder = chosen.out / "selections" / f"{arm}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        mixture(MixtureSettings(documents=number, seed=seed, **ways.get(arm, {})), folder, data=pool.folder)
        rows = list(io.read_samples(folder / "documents.jsonl"))
        tokens, used = [], 0
        for sample in rows:
            if len(tokens) >= chosen.tokens:
                break
            tokens += [*pool.words.encode(sample.text).ids, 0]
            used += 1
        rows, number = rows[:used], number + max(20, number // 8)
    return tokens[: chosen.tokens], rows


def trained(tokens: list[int], seed: int, rate: float, label: str) -> Any:
    plugins.need("transformers", why="this benchmark")
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=128, intermediate_size=384, num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=256, tie_word_embeddings=True,
        )
    )  # fmt: skip
    stream = torch.tensor(tokens[: len(tokens) // WINDOW * WINDOW]).view(-1, WINDOW)
    order = torch.randperm(len(stream), generator=torch.Generator().manual_seed(seed))
    steps = len(stream) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1.0, (step + 1) / 20) * (0.05 + 0.95 * (1 + math.cos(math.pi * step / steps)) / 2),
    )
    for step in track(range(steps), label, steps):
        batch = stream[order[step * BATCH : (step + 1) * BATCH]]
        optimizer.zero_grad()
        model(input_ids=batch, labels=batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


# ---- examination
# -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    bucket: str
    before: list[int]
    options: list[list[int]]  # the first is right
    after: list[int]


@dataclass(frozen=True)
class Exam:
    windows: list[list[int]]
    marks: list[list[str]]  # of each token: the bucket of the entity it is part of, or ""
    questions: list[Question]


def examination(pool: Pool, chosen: argparse.Namespace) -> Exam:
    half = [s for s in pool.held_out if (io.unit_interval("half", s.id) < 0.5) == chosen.validate]
    half.sort(key=lambda s: io.unit_interval("exam", s.id))
    find = finder(pool.tree)
    windows, marks = list[list[int]](), list[list[str]]()
    places, surfaces = (
        list[tuple[str, str, str, list[int], list[int]]](),
        defaultdict[tuple[str, str], dict[str, str]](dict),
    )
    for number, sample in enumerate(half):
        encoded = pool.words.encode(sample.text)
        mentions = [m for m in find.find(sample.text) if pool.bucket.get(m.entity)]
        if number < chosen.documents:
            mark = [""] * len(encoded.ids)
            for m in mentions:
                for i, (start, end) in enumerate(encoded.offsets):
                    if start < m.end and end > m.start:
                        mark[i] = pool.bucket[m.entity]
            for at in range(0, len(encoded.ids), WINDOW - 1):
                windows.append([0, *encoded.ids[at : at + WINDOW - 1]])
                marks.append(["", *mark[at : at + WINDOW - 1]])
        for m in mentions:
            before = pool.words.encode(sample.text[: m.start].rstrip()).ids[-CONTEXT:]
            known = pool.bucket[m.entity], pool.kind.get(m.entity, "")
            surfaces[known].setdefault(m.entity, m.surface)
            if len(before) >= 16 and m.surface.casefold() not in sample.text[: m.start].casefold():
                places.append(
                    (
                        m.entity,
                        m.surface,
                        known[0],
                        before,
                        pool.words.encode(sample.text[m.end :][:120]).ids[:AFTER],
                    )
                )
    dice, questions = random.Random(0), list[Question]()
    dice.shuffle(places)
    for bucket in BUCKETS:
        asked = (p for p in places if p[2] == bucket)
        made = (_question(p, surfaces[bucket, pool.kind.get(p[0], "")], pool, dice) for p in asked)
        questions += islice((q for q in made if q), chosen.questions)
    print(
        f"exam: {sum(map(len, windows)):,} tokens, in mentions",
        dict(Counter(m for mark in marks for m in mark if m)),
        end="; ",
    )
    print("questions", dict(Counter(q.bucket for q in questions)), flush=True)
    return Exam(windows, marks, questions)


def _question(
    place: tuple[str, str, str, list[int], list[int]], known: dict[str, str], pool: Pool, dice: random.Random
) -> Question | None:
    entity, surface, bucket, before, after = place
    others = [
        other
        for id, other in sorted(known.items())
        if id != entity and other.casefold() != surface.casefold()
    ]
    if len(others) < 3:
        return None
    names = [surface, *dice.sample(others, 3)]
    return Question(bucket, before, [pool.words.encode(f" {name}").ids for name in names], after)


def logs(model: Any, rows: Sequence[Sequence[int]]) -> Iterator[list[float]]:
    """Log likelihood of each token of a row after its first, in nats; the rows in batches of about one
    length."""
    import torch

    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    found: list[list[float]] = [[]] * len(rows)
    for at in range(0, len(order), 64):
        some = order[at : at + 64]
        width = max(len(rows[i]) for i in some)
        batch = torch.tensor([[*rows[i], *[0] * (width - len(rows[i]))] for i in some])
        with torch.no_grad():
            chances = (
                model(input_ids=batch).logits[:, :-1].log_softmax(-1).gather(2, batch[:, 1:, None])[..., 0]
            )
        for line, i in zip(chances.tolist(), some, strict=True):
            found[i] = line[: len(rows[i]) - 1]
    yield from found


def perplexities(model: Any, exam: Exam) -> dict[str, float]:
    sums, counts = Counter[str](), Counter[str]()
    for line, mark in zip(logs(model, exam.windows), exam.marks, strict=True):
        for value, bucket in zip(line, mark[1:], strict=True):
            for name in ("all", *([bucket] if bucket else [])):
                sums[name] -= value
                counts[name] += 1
    return {f"perplexity_{name}": round(math.exp(sums[name] / counts[name]), 3) for name in ("all", *BUCKETS)}


def answers(model: Any, exam: Exam) -> dict[str, float]:
    rows = [[0, *q.before, *option, *q.after] for q in exam.questions for option in q.options]
    alone = [[0, *option] for q in exam.questions for option in q.options]
    starts = [len(q.before) for q in exam.questions for _ in q.options]
    scores = [
        sum(line[start:]) - sum(own)
        for line, start, own in zip(logs(model, rows), starts, logs(model, alone), strict=True)
    ]
    right, asked = Counter[str](), Counter[str]()
    for number, question in enumerate(exam.questions):
        mine = scores[4 * number : 4 * number + 4]
        asked[question.bucket] += 1
        right[question.bucket] += mine[0] > max(mine[1:])
    return {f"accuracy_{name}": round(right[name] / asked[name], 4) for name in BUCKETS}


# ---- figures
# -----------------------------------------------------------------------------------------------------------


def table(rows: Sequence[dict[str, Any]]) -> str:
    columns = [f"perplexity_{name}" for name in ("all", *BUCKETS)] + [f"accuracy_{name}" for name in BUCKETS]
    lines = [
        "| selection | " + " | ".join(column.replace("_", ", ") for column in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    values = {arm: {c: {r["seed"]: r[c] for r in rows if r["arm"] == arm} for c in columns} for arm in ARMS}
    there = [arm for arm in ARMS if values[arm][columns[0]]]
    lines += [
        f"| {arm} | {' | '.join(interval(list(values[arm][c].values())) for c in columns)} |" for arm in there
    ]
    for a, b in (("entity", "random"), ("entity", "modality"), ("modality", "random")):
        both = sorted(values[a][columns[0]].keys() & values[b][columns[0]].keys())
        if both:
            lines.append(
                f"| {a} - {b} |"
                f" {' | '.join(interval([values[a][c][s] - values[b][c][s] for s in both]) for c in columns)} |"  # noqa: E501
            )
    heads = [f"{what}_{name}" for what in ("mentions", "entities") for name in BUCKETS]
    lines += [
        "",
        "| selection | rows | " + " | ".join(head.replace("_", ", ") for head in heads) + " |",
        "|---" * (len(heads) + 2) + "|",
    ]
    for arm in ARMS:
        if own := [row for row in rows if row["arm"] == arm]:
            numbers = [f"{mean(r[head] for r in own):,.0f}" for head in ("rows", *heads)]
            lines.append(f"| {arm} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval by t over seeds; one seed has no interval."""
    shown = 3 if abs(mean(values)) < 10 else 1
    if len(values) < 2:
        return f"{values[0]:.{shown}f}"
    return (
        f"{mean(values):.{shown}f} ±"
        f" {T95.get(len(values), 1.96) * stdev(values) / math.sqrt(len(values)):.{shown}f}"
    )


if __name__ == "__main__":
    main()
