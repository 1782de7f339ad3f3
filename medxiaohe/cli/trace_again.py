"""Verification levels that are agreement rates: a model generates the replies again, a second verifier
judges the claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from medxiaohe import io
from medxiaohe.agents.engine.record import asked
from medxiaohe.errors import ConfigError, MedError
from medxiaohe.evidence.rule import Verifier
from medxiaohe.tools.toolbox import describe_tools
from medxiaohe.traces import Compared
from medxiaohe.traces.blobs import Blobs
from medxiaohe.traces.records import renamed
from medxiaohe.types import ImageRef, Message, Model, Step, Tool, ToolResult, Trace


def regenerated(trace: Trace, model: Model, blobs: Blobs) -> Iterator[Compared]:
    """Send the recorded requests of a trace to a model again, and compare the replies.

    Args:
        trace: of which each `ask` step is compared.
        model: to ask.
        blobs: images of the trace by SHA-256.

    Yields:
        one comparison for each `ask` or `rank` step, with `None` where it could not be made.
    """
    for step in trace.steps:
        if step.kind == "rank":
            yield Compared(None, "likelihoods are not compared")
        elif step.kind == "ask":
            yield _asked_again(trace, step, model, blobs)


def _asked_again(trace: Trace, step: Step, model: Model, blobs: Blobs) -> Compared:
    if not isinstance(step.got, Message) or step.got.error:
        return Compared(None, "the recorded model had failed")
    try:
        talk = [_with_files(message, blobs) for message in asked(trace, step.n)]
        tools: Sequence[Tool] = describe_tools(step.given.get("tools", ()))
    except FileNotFoundError:
        return Compared(None, "an image is not in blobs/")
    except ConfigError:
        return Compared(None, "a tool is not installed here")
    (reply,) = model.reply([talk], tools)
    if reply.error:
        return Compared(None, "the model fails here")
    same = renamed(io.to_json(reply.parts)) == renamed(io.to_json(step.got.parts))
    return Compared(same, "" if same else _difference(step.got.text, reply.text))


def _difference(then: str, now: str) -> str:
    """Locate the first word that differs; words are numbered from 1."""
    if then == now:
        return "other calls of tools"
    pairs = zip_longest(then.split(), now.split())
    word = next((n for n, (before, after) in enumerate(pairs, 1) if before != after), 1)
    return f"another reply from word {word}"


def _with_files(message: Message, blobs: Blobs) -> Message:
    def shown(part: Any) -> Any:
        if isinstance(part, ToolResult):
            return replace(part, parts=tuple(map(shown, part.parts)))
        if not isinstance(part, ImageRef):
            return part
        if (path := blobs.path(part.sha256)) is None:
            raise FileNotFoundError(part.sha256)
        return replace(part, uri=str(path))

    return replace(message, parts=tuple(map(shown, message.parts)))


def entailed(trace: Trace, name: str, verifier: Verifier) -> Iterator[Compared]:
    """Ask a second verifier about the claims that a trace has rulings on, and compare the labels.

    Args:
        trace: with claims, evidence and rulings; unjudged rulings are skipped.
        name: of the verifier; rulings by the same one are not compared.
        verifier: to ask.

    Yields:
        one comparison for each ruling, with `None` where it could not be made.
    """
    rulings = [ruling for ruling in trace.rulings if ruling.label != "unjudged"]
    own = [ruling for ruling in rulings if ruling.by.partition(":")[0] != name]
    yield from (Compared(None, "ruled by the same verifier") for _ in range(len(rulings) - len(own)))
    by_id = {claim.id: claim for claim in trace.claims}
    claims = [by_id[id] for id in dict.fromkeys(item.claim for item in own)]
    if not claims:
        return
    try:
        labels = {item.claim: item.label for item in verifier(claims, trace.evidence)}
    except MedError:
        yield from (Compared(None, "the second verifier fails") for _ in own)
        return
    for judged in own:
        if labels[judged.claim] == "unjudged":
            yield Compared(None, "the second verifier could not judge")
        else:
            yield Compared(
                labels[judged.claim] == judged.label, f"{judged.label}, then {labels[judged.claim]}"
            )
