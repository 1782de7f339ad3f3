"""Honest folders of traces, drawn by seed: real workflows, tools and images, claims and rulings."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medxiaohe import images, traces
from medxiaohe.agents.answer import answer
from medxiaohe.cli.trace_replay import pixels
from medxiaohe.errors import ToolError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.tools import tool
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.types import (
    Claim,
    Evidence,
    ImageRef,
    Locator,
    Message,
    Prompt,
    Ruling,
    ToolCall,
    ToolResult,
    Trace,
)  # fmt: skip

SENTENCES = (
    "Scurvy is a deficiency of vitamin C.", "Insulin is made in the pancreas.", "The heart is enlarged.",
    "There is no pleural effusion.", "血糖 was 7.4 mmol/l.", "Café-au-lait spots \U0001f9ec were seen.",
)  # fmt: skip


def png(width: int, height: int, seed: int) -> bytes:
    """A picture of random RGB pixels."""
    draw = random.Random(seed)
    rows = b"".join(b"\x00" + draw.randbytes(3 * width) for _ in range(height))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@tool(example={"left": 1, "top": 1})
def cell(left: int, top: int, *, images: Sequence[ImageRef]) -> ToolResult:
    """A region of 6 by 5 pixels of the first image, as evidence."""
    if not images:
        raise ToolError("there is no image")
    at = Locator(box=(left, top, left + 6, top + 5))
    found = Evidence(f"cell/{left}", "a white cell", "image 1", (images[0],), kind="region", at=at)
    return ToolResult("", ("one white cell",), (found,))


def trace(folder: Path, seed: int) -> tuple[Trace, dict[str, bytes]]:
    """A trace and its documents. Every seventh fails in one of several ways."""
    draw = random.Random(seed)
    document = " ".join(draw.sample(SENTENCES, 4))
    digest = hashlib.sha256(document.encode()).hexdigest()
    start = draw.randrange(0, 20)
    span = (start, draw.randrange(start + 25, len(document)))
    library = BM25([Evidence("p1", document[slice(*span)], "notes", sha256=digest, at=Locator(span))])
    picture = folder / f"{seed}.png"
    picture.write_bytes(png(20 + draw.randrange(9), 18, seed))
    weight, height = round(draw.uniform(45, 120), 1), round(draw.uniform(1.5, 2.0), 2)
    calls = [
        ToolCall("c1", "bmi", {"weight_kg": weight, "height_m": height}),
        ToolCall("c2", "search", {"query": document[slice(*span)][:24]}),
        ToolCall("c3", "cell", {"left": draw.randrange(1, 9), "top": draw.randrange(1, 9)}),
    ]
    text = f"The index is {weight / height**2:.1f}. A white cell is seen. {draw.choice(SENTENCES)}"
    replies: list[str | Message] = [Message("assistant", ("I look.", *calls)), text]
    kind = seed % 7
    if kind == 3:
        replies = [draw.choice(["", "I cannot help with that.", "I don't know."])]
    if kind == 5:
        replies = [Message("assistant", (), error="the server is gone")]
    shown = (images.ref(picture),) if kind != 6 else ()
    prompt = Prompt(f"case/{seed}", (Message("user", (*shown, f"Question {seed}: what is it?")),), ("A", "B"))
    tools = (*open_tools(["bmi", "search"], {"library": library}), cell)
    (made,) = answer([prompt], scripted("example-model", replies), tools)
    return _claimed(made, 120 if kind == 4 else 3), {digest: document.encode()}


def _claimed(made: Trace, most: int) -> Trace:
    """The trace with claims on words of its answer, each ruled on by the evidence there is."""
    ids = tuple(item.id for item in made.evidence)
    if not ids or not made.answer:
        return made
    spans = [(n % 10, n % 10 + 11) for n in range(most)]
    claims = tuple(Claim(f"c{n}", made.answer[slice(*at)], at, ids[:1]) for n, at in enumerate(spans))
    labels = ("supported", "contradicted", "unjudged")
    rulings = tuple(
        Ruling(one.id, labels[n % 3], ids[n % len(ids) :][:1], "rules", f"reason {n}")  # type: ignore[arg-type]
        for n, one in enumerate(claims)
    )
    return replace(made, claims=claims, rulings=rulings)


def bundle(folder: Path, seeds: Sequence[int], key: str = "") -> Path:
    """A folder with a trace for each seed, appended in two commits."""
    scratch = folder.with_name(f"{folder.name}_pictures")
    scratch.mkdir(parents=True)
    log = traces.Log(folder, key)
    drawn = [trace(scratch, seed) for seed in seeds]
    blobs = {name: data for _, documents in drawn for name, data in documents.items()}
    sealed = [traces.seal(one, log.secret, digests={"model": "ab" * 32}, pixels=pixels) for one, _ in drawn]
    half = len(sealed) // 2
    for part in (sealed[:half], sealed[half:]):
        if part:
            log.append(part, blobs)
    return folder
