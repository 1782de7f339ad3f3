"""Extract entities from passages with a model: batches in, strict JSON out, every span checked against the
passage (MedXIAOHE).

A reply is JSON that fits the schema, or it is shown to the model with what is wrong and asked for again
(`models/asking.py`, which keeps the replies too: a run that was killed repeats no call). A name that does not
occur in its passage is dropped: offsets are computed here, never by the model.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe.entity.literature.passages import Extraction, Found, Passage, spans_of
from medxiaohe.models.asking import REPAIRS, Client, Reader, Unreadable
from medxiaohe.models.reply_store import ReplyStore
from medxiaohe.models.spending import CallBudget
from medxiaohe.types import Message, Model

FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
MAX_SURFACE = 120  # characters: a longer one is a sentence
CALLS = "calls"
NO_REPLY = {
    "spent": "beyond the budget",
    "failed": "model failed",
}  # status of an outcome -> how it is counted

INSTRUCTIONS = """\
List the medical entities of each passage: {types}.
Answer with one JSON object and nothing else, in this form:
{{"passages": [{{"passage": 1, "entities": [{{"text": "words copied exactly from the passage", "type": "one of the types"}}]}}]}}
Give every passage once, with its number. Copy the words of an entity letter by letter. An empty list is a valid answer."""  # noqa: E501


@dataclass(frozen=True)
class Limits:
    """Sizes of a call, and limits of an extraction."""

    batch: int = 4  # passages of one call
    retries: int = REPAIRS  # requests that show the model what is wrong with its reply
    max_calls: int = 0  # 0 is no limit; retries count
    max_characters: int = 4000  # of a passage
    together: int = 16  # conversations handed to the model at once


class Wrong(Unreadable):
    """What is wrong with a reply, as the model is told; `kind` is how it is counted."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def extract(
    passages: Sequence[Passage], model: Model, *, types: Sequence[str], limits: Limits = Limits(),
    work: Path | None = None,
) -> Extraction:  # fmt: skip
    """Extract entities from passages with a model.

    Args:
        passages: asked about in batches of `limits.batch`.
        model: the extractor.
        types: kinds of entities that are asked for.
        limits: batch size, repair requests, number of calls, characters of a passage.
        work: folder where replies are stored, so that a killed run repeats no call; None: they are not
            stored.

    Returns:
        Checked spans, dropped names with a reason, and counts; a batch beyond `limits.max_calls` is
        counted, not asked.
    """
    result = Extraction()
    batches = [passages[i : i + limits.batch] for i in range(0, len(passages), limits.batch)]
    client = Client(
        model,
        budget=CallBudget(max_calls=limits.max_calls or None),
        repairs=limits.retries,
        together=limits.together,
        journal=journal(work, CALLS) if work else None,
    )
    result.counts["retries"] = 0
    outcomes = client.ask(
        [[Message("user", (question(batch, types, limits),))] for batch in batches],
        [_reader(len(batch), result.counts) for batch in batches],
        label=f"extract with {model.name}",
    )
    # check every span against its passage; passages without a readable reply are counted
    for batch, outcome in zip(batches, outcomes, strict=True):
        result.counts["passages"] += len(batch)
        result.counts["retries"] += max(0, outcome.calls - 1)
        if outcome.status in NO_REPLY:
            result.counts[NO_REPLY[outcome.status]] += 1
        if outcome.value is None:
            result.counts["passages without a usable reply"] += len(batch)
            continue
        result.counts["parsed"] += 1
        for number, passage in enumerate(batch, 1):
            _check(passage, outcome.value.get(number, []), types, model.name, result)
    result.counts["calls"] = client.spent.calls
    return result


def journal(work: Path, name: str) -> ReplyStore:
    """Open the store of replies in the folder of unfinished work.

    Args:
        work: the folder.
        name: of the file, without its ending.

    Returns:
        The store, with the replies of an older .jsonl file of that name.
    """
    return ReplyStore(work / f"{name}.sqlite", earlier=(work / f"{name}.jsonl",))


def _reader(num_passages: int, counts: Counter[str]) -> Reader:
    """Bind `parse` to the size of a batch; errors are counted by kind."""

    def read(reply: str) -> dict[int, list[tuple[str, str]]]:
        try:
            return parse(reply, num_passages)
        except Wrong as wrong:
            counts[wrong.kind] += 1
            raise

    return read


def question(batch: Sequence[Passage], types: Sequence[str], limits: Limits) -> str:
    """Build the prompt about a batch of passages.

    Args:
        batch: passages, numbered from 1.
        types: kinds of entities that are asked for.
        limits: of which `max_characters` cuts each passage.

    Returns:
        The text.
    """
    texts = [f"Passage {i}:\n{passage.text[: limits.max_characters]}" for i, passage in enumerate(batch, 1)]
    return "\n\n".join([INSTRUCTIONS.format(types=", ".join(types)), *texts])


def parse(reply: str, num_passages: int) -> dict[int, list[tuple[str, str]]]:
    """Parse a reply strictly: one JSON object (in a code fence or not) of the schema, with every passage
    once.

    Args:
        reply: of the model.
        num_passages: of the batch.

    Returns:
        Number of the passage from 1 -> (surface, type) of each entity.

    Raises:
        Wrong: the reply is not JSON, or not of the schema: an unknown key, a number for text, a passage
            twice, missing or never asked about.
    """
    fenced = FENCE.fullmatch(reply)
    try:
        value = json.loads(
            fenced[1] if fenced else reply, parse_constant=_no_constant, object_pairs_hook=_once
        )
    except (ValueError, RecursionError) as error:
        raise Wrong("invalid JSON", f"it is not JSON: {error}") from error
    rows = _validated(value)
    numbers = [row["passage"] for row in rows]
    if sorted(numbers) != list(range(1, num_passages + 1)):
        raise Wrong(
            "schema error", f"it must give each of the passages 1 to {num_passages} once, not {numbers}"
        )
    return {row["passage"]: [(e["text"], e["type"]) for e in row["entities"]] for row in rows}


def _validated(value: Any) -> list[dict[str, Any]]:
    import pydantic

    global _schema
    if _schema is None:
        strict = pydantic.ConfigDict(extra="forbid", strict=True)
        text = (str, pydantic.Field(min_length=1, max_length=MAX_SURFACE))
        entity = pydantic.create_model("Entity", __config__=strict, text=text, type=text)
        rows = pydantic.create_model(
            "Rows",
            __config__=strict,
            passage=(int, pydantic.Field(ge=1)),
            entities=(list[entity], ...),  # type: ignore[valid-type]
        )
        _schema = pydantic.create_model("Reply", __config__=strict, passages=(list[rows], ...))  # type: ignore[valid-type]
    try:
        return _schema.model_validate(value).model_dump()["passages"]  # type: ignore[no-any-return]
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise Wrong(
            "schema error", f"{'.'.join(map(str, first['loc'])) or 'the answer'}: {first['msg']}"
        ) from error


_schema: Any = None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError(f"a key twice in {[key for key, _ in pairs]}")
    return dict(pairs)


def _check(
    passage: Passage, claimed: Sequence[tuple[str, str]], types: Sequence[str], by: str, result: Extraction
) -> None:
    """Keep the names that occur in the passage, at every place; record the others with a reason."""
    by_name = {type.casefold(): type for type in types}
    seen: set[tuple[str, str]] = set()
    for surface, type in claimed:
        reason = ""
        if (surface, type) in seen:
            reason = "said twice"
        elif type.casefold() not in by_name:
            reason = "type not asked for"
        elif not (spans := list(spans_of(surface, passage.text))):
            reason = "span not found"
        seen.add((surface, type))
        if reason:
            result.counts[reason] += 1
            result.dropped.append({"passage": passage.id, "surface": surface, "type": type, "reason": reason})
            continue
        result.counts["entities"] += 1
        result.found += [
            Found(passage.id, start, end, passage.text[start:end], by_name[type.casefold()], by)
            for start, end in spans
        ]
