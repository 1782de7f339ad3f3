"""Entities that a model finds in passages: batches in, strict JSON out, every span checked against the
passage (MX-10).

A reply is JSON that fits the schema, or it is shown to the model with what is wrong and asked for again, a
bounded number of times. A name that does not stand in its passage is dropped: offsets are ours, never the
model's. Replies are kept by the hash of what was asked, so that a run that was killed repeats no call.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ModelError
from medxiaohe.progress import Meter
from medxiaohe.types import Message, Model, Tool

FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
MAX_SURFACE = 120  # characters: a longer one is a sentence
MAX_SHOWN = 300  # characters of what is wrong with a reply, when the model is asked again
CALLS = "calls.jsonl"

INSTRUCTIONS = """\
List the medical entities of each passage: {types}.
Answer with one JSON object and nothing else, in this form:
{{"passages": [{{"passage": 1, "entities": [{{"text": "words copied exactly from the passage", "type": "one of the types"}}]}}]}}
Give every passage once, with its number. Copy the words of an entity letter by letter. An empty list is a valid answer."""  # noqa: E501


@dataclass(frozen=True)
class Passage:
    id: str
    text: str
    source: str = ""
    license: str = ""


@dataclass(frozen=True)
class Found:
    """An entity where it stands: passage.text[start:end] is its surface."""

    passage: str
    start: int
    end: int
    surface: str
    type: str  # as claimed; "" when nothing is claimed
    by: str  # the model, or `statistics`


@dataclass(frozen=True)
class Limits:
    batch: int = 4  # passages of one call
    retries: int = 2
    max_calls: int = 0  # 0 is no limit; retries count
    max_characters: int = 4000  # of a passage
    together: int = 16  # conversations handed to the model at once


@dataclass
class Extraction:
    found: list[Found] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    dropped: list[dict[str, Any]] = field(default_factory=list)  # {passage, surface, type, reason}


class Wrong(ValueError):
    """What is wrong with a reply, as the model is told; `kind` is how it is counted."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def extract(
    passages: Sequence[Passage], model: Model, *, types: Sequence[str], limits: Limits = Limits(),
    work: Path | None = None,
) -> Extraction:  # fmt: skip
    """Ask about all passages. `work` is the folder where replies are kept; a batch over the budget is
    counted, not asked."""
    result = Extraction()
    batches = [passages[i : i + limits.batch] for i in range(0, len(passages), limits.batch)]
    meter = Meter(f"extract with {model.name}", len(batches))
    replies = Replies(model, work / CALLS if work else None, limits.max_calls)
    for start in range(0, len(batches), limits.together):
        window = batches[start : start + limits.together]
        for batch, parsed in zip(
            window, _answered(window, replies, types, limits, result.counts), strict=True
        ):
            result.counts["passages"] += len(batch)
            if parsed is None:
                result.counts["passages without a usable reply"] += len(batch)
                continue
            result.counts["parsed"] += 1
            for number, passage in enumerate(batch, 1):
                _check(passage, parsed.get(number, []), types, model.name, result)
        meter.advance(len(window))
    meter.close()
    result.counts["calls"] = replies.calls
    return result


def _answered(
    window: Sequence[Sequence[Passage]],
    replies: Replies,
    types: Sequence[str],
    limits: Limits,
    counts: Counter[str],
) -> list[dict[int, list[tuple[str, str]]] | None]:
    """The entities of each batch, or None when the model could not be brought to say them."""
    talks = {i: [Message("user", (question(batch, types, limits),))] for i, batch in enumerate(window)}
    found: dict[int, dict[int, list[tuple[str, str]]]] = {}
    for attempt in range(limits.retries + 1):
        open_ = [i for i in talks if i not in found]
        counts["retries"] += len(open_) if attempt else 0
        for i, reply in zip(open_, replies.within_budget([talks[i] for i in open_]), strict=True):
            if reply is None:
                counts["beyond the budget"] += 1
                continue
            try:
                found[i] = parse(reply, len(window[i]))
            except Wrong as wrong:
                counts[wrong.kind] += 1
                talks[i] += [Message("assistant", (reply,)), Message("user", (_again(wrong),))]
    return [found.get(i) for i in range(len(window))]


def question(batch: Sequence[Passage], types: Sequence[str], limits: Limits) -> str:
    texts = [f"Passage {i}:\n{passage.text[: limits.max_characters]}" for i, passage in enumerate(batch, 1)]
    return "\n\n".join([INSTRUCTIONS.format(types=", ".join(types)), *texts])


def _again(wrong: Wrong) -> str:
    return (
        f"That cannot be used: {str(wrong)[:MAX_SHOWN]}. Answer again with the one JSON object and nothing"
        " else."
    )


def parse(reply: str, num_passages: int) -> dict[int, list[tuple[str, str]]]:
    """(surface, type) of each passage by its number; Wrong when the reply is not JSON, or not of the schema.

    Strict: the whole reply is one JSON object (in a code fence or not), without unknown keys, numbers for
    text, a passage twice, a passage left out or one that was not asked about.
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
    """Keep what stands in the passage, at every place it does; write down the rest with a reason."""
    known = {type.casefold(): type for type in types}
    said: set[tuple[str, str]] = set()
    for surface, type in claimed:
        reason = ""
        if (surface, type) in said:
            reason = "said twice"
        elif type.casefold() not in known:
            reason = "type not asked for"
        elif not (spans := list(spans_of(surface, passage.text))):
            reason = "span not found"
        said.add((surface, type))
        if reason:
            result.counts[reason] += 1
            result.dropped.append({"passage": passage.id, "surface": surface, "type": type, "reason": reason})
            continue
        result.counts["entities"] += 1
        result.found += [
            Found(passage.id, start, end, passage.text[start:end], known[type.casefold()], by)
            for start, end in spans
        ]


def spans_of(surface: str, text: str) -> Iterator[tuple[int, int]]:
    """Where a surface stands in a text as whole words: letter by letter but for case and how words are
    spaced."""
    words = surface.split()
    if words:
        pattern = r"\s+".join(map(re.escape, words))
        start, end = (
            (r"(?<!\w)" if words[0][0].isalnum() else ""),
            (r"(?!\w)" if words[-1][-1].isalnum() else ""),
        )
        for match in re.finditer(start + pattern + end, text, re.IGNORECASE):
            yield match.span()


class Replies:
    """A model whose replies are kept in a file by the hash of what was asked; itself a Model. `calls` counts
    old and new ones."""

    def __init__(self, model: Model, path: Path | None, max_calls: int = 0):
        self.name, self.model, self.path, self.max_calls = model.name, model, path, max_calls
        self.calls = 0
        self._known: dict[str, Message] = {}
        if path is not None and path.exists():
            io.drop_torn_line(path)
            self._known = {row["asked"]: io.message_from_json(row["reply"]) for row in io.read_jsonl(path)}

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """One reply for each conversation, in order. Raises ModelError when the model gives another
        number."""
        named = [[tool.name, tool.description, tool.parameters] for tool in tools]
        keys = [io.fingerprint([self.name, io.to_json(list(talk)), named]) for talk in conversations]
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in self._known}
        new = sorted(first.values())
        replies = self.model.reply([conversations[i] for i in new], tools) if new else []
        if len(replies) != len(new):
            raise ModelError(f"{self.name} gave {len(replies)} replies to {len(new)} conversations")
        fresh = {keys[i]: message for i, message in zip(new, replies, strict=True)}
        if self.path is not None and fresh:
            io.append_jsonl(self.path, [{"asked": key, "reply": message} for key, message in fresh.items()])
        self._known |= fresh
        self.calls += len(keys)
        return [self._known[key] for key in keys]

    def within_budget(self, conversations: Sequence[Sequence[Message]]) -> list[str | None]:
        """Texts of the replies, None where max_calls is used up; a call kept from before counts, so that
        resuming changes nothing."""
        room = max(0, self.max_calls - self.calls) if self.max_calls else len(conversations)
        return [message.text for message in self.reply(conversations[:room])] + [None] * (
            len(conversations) - min(room, len(conversations))
        )


def rows(result: Extraction) -> Iterator[Mapping[str, Any]]:
    return map(asdict, result.found)
