"""Check that the records of one trace are those that were sealed, and consistent with each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from medxiaohe.errors import DataError
from medxiaohe.traces import merkle
from medxiaohe.traces.canonical import loads
from medxiaohe.traces.records import FORMAT, KINDS, Opening, Record, commitment, restore
from medxiaohe.traces.store import SHA256, Stored, head_name, parse_openings
from medxiaohe.traces.verdict import Verdict
from medxiaohe.types import EVIDENCE_KINDS, Trace

_COMMON = {"id": str, "kind": str, "sealed": str}
_STEP = {"step": int, "of": str, "who": str, "model": str, "after": list, "tokens_in": int, "tokens_out": int}
_FIELDS: dict[str, dict[str, Any]] = {
    "source": {"of": str},  # and sha256, unless it is the prompt
    "generation": _STEP,
    "call": _STEP,
    "decision": _STEP,
    "evidence": {"of": str, "by": str, "source": str},
    "answer": {"stop": str},
    "claim": {"of": str, "at": (list, type(None)), "needs": str, "evidence": list},
    "ruling": {"claim": str, "label": str, "evidence": list, "by": str},
}
_HEAD = {"id": str, "kind": str, "format": str, "records": int, "leaves": list, "root": str, "origin": dict}
_STEPS = {"generation": ("ask", "rank"), "call": ("use",), "decision": ("note",)}
_LABELS = ("supported", "contradicted", "unsupported", "unjudged")
_SALT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Opened:
    """Records of a trace that passed every check, with the openings of those that are open."""

    index: int
    records: tuple[Record, ...]  # the head last
    openings: Mapping[str, Opening]
    closed: int
    answer: str  # id of the answer
    trace: Trace | None = None  # as it was recorded, where all of it is open

    def value(self, id: str) -> Any:
        """Look up the opened value of a record.

        Args:
            id: of a record.

        Returns:
            the value that the record seals, or None
        """
        return self.openings[id][1] if id in self.openings else None


class _Bad(Exception):
    """Raised for the first record that is wrong, with the reason."""

    def __init__(self, record: str, why: str) -> None:
        super().__init__(why)
        self.record, self.why = record, why


def check_records(trace: Stored, verdict: Verdict) -> Opened | None:
    """Check the records of a trace; its first problem is added to the verdict and ends the check.

    Args:
        trace: as it is stored.
        verdict: the verdict that is added to.

    Returns:
        the open records, or None where one is bad
    """
    try:
        opened = _checked(trace)
    except _Bad as bad:
        verdict.add(trace.index, bad.record, "intact", bad.why)
        return None
    level = verdict.levels["intact"]
    level.checked += len(opened.records)
    level.closed += opened.closed
    return opened


def _checked(trace: Stored) -> Opened:
    records = _records(trace)
    try:
        name, openings, values = parse_openings(trace.openings)
    except DataError as error:
        raise _Bad("openings", str(error)) from error
    if name not in ("", head_name(trace.lines[-1])):
        raise _Bad("openings", "they are of another trace")
    for record in records[:-1]:
        _opening(record, openings, values)
    if extra := sorted(set(openings) - {record["id"] for record in records[:-1]}):
        raise _Bad(extra[0], "an opening of a record that is not there")
    by_id: dict[str, Record] = {}
    steps = 0
    for record in records[:-1]:
        _refers(record, by_id, steps)
        steps += "step" in record
        by_id[record["id"]] = record
    answers = [record["id"] for record in records if record["kind"] == "answer"]
    prompts = [record["id"] for record in records if record.get("of") == "prompt"]
    if len(answers) != 1 or prompts != ["source/0"]:
        raise _Bad(records[-1]["id"], "a trace has one prompt, which is first, and one answer")
    opened = Opened(trace.index, records, openings, len(records) - 1 - len(openings), answers[0])
    return replace(opened, trace=_agree(opened, by_id))


# ---- one record at a time --------------------------------------------------------------------------


def _records(trace: Stored) -> tuple[Record, ...]:
    """Parse the records and check the id, the fields and the hash under the head of each."""
    count = len(trace.lines) - 1
    head = _parsed(trace.lines[-1], count)
    _shaped(head, _HEAD)
    if head["format"] != FORMAT:
        raise _Bad(head["id"], f"format {head['format'][:40]!a}: this version reads {FORMAT}")
    hashes = [merkle.leaf_hash(line) for line in trace.lines[:-1]]
    records: list[Record] = []
    for i, (line, hash) in enumerate(zip(trace.lines[:-1], hashes, strict=True)):
        if i >= len(head["leaves"]) or head["leaves"][i] != hash.hex()[:16]:
            raise _Bad(
                _id(line, i), "not the record that was sealed: changed, moved, added or dropped before"
            )
        record = _parsed(line, i)
        kind = record.get("kind")
        if kind not in KINDS[:-1] or record.get("id") != f"{kind}/{i}":
            raise _Bad(_id(line, i), f"id and kind do not fit record {i}")
        fields = _COMMON | _FIELDS[kind]
        is_file = kind == "source" and record.get("of") != "prompt"
        _shaped(record, fields | {"sha256": str} if is_file else fields)
        records.append(record)
    if head["id"] != f"head/{count}" or head["records"] != count or len(head["leaves"]) != count:
        raise _Bad(
            _id(trace.lines[-1], count), f"the head is of {len(head['leaves'])} records, not of {count}"
        )
    if head["root"] != merkle.root(hashes).hex():
        raise _Bad(head["id"], "the root is not that of the records")
    if not all(isinstance(value, str) for value in head["origin"].values()):
        raise _Bad(head["id"], "the origin must be text")
    return (*records, head)


def _parsed(line: bytes, i: int) -> Record:
    try:
        record = loads(line)
    except DataError as error:
        raise _Bad(_id(line, i), str(error)) from error
    if not isinstance(record, dict):
        raise _Bad(f"record {i}", "not an object")
    return record


def _id(line: bytes, i: int) -> str:
    """The id that a line states, where it is one, for a message."""
    match = re.search(rb'"id":"([a-z]+/\d+)"', line)
    return match[1].decode() if match else f"record {i}"


def _shaped(record: Record, fields: Mapping[str, Any]) -> None:
    id = str(record.get("id", "a record"))[:40]
    if odd := sorted(set(record) ^ set(fields)):
        raise _Bad(id, f"the field {odd[0][:40]!a} is {'unknown' if odd[0] in record else 'missing'}")
    for key, kind in fields.items():
        if not isinstance(record[key], kind) or isinstance(record[key], bool):
            raise _Bad(id, f"{key} has a value of the wrong type")


def _opening(record: Record, openings: Mapping[str, Opening], values: Mapping[str, bytes]) -> None:
    if not SHA256.fullmatch(record["sealed"]):
        raise _Bad(record["id"], "its commitment is no SHA-256")
    if record["id"] in openings:
        salt, data = openings[record["id"]][0], values[record["id"]]
        if not _SALT.fullmatch(salt) or commitment(bytes.fromhex(salt), data) != record["sealed"]:
            raise _Bad(record["id"], "its opening is not what was sealed")


def _refers(record: Record, earlier: Mapping[str, Record], steps: int) -> None:
    """Check that a record refers to earlier records of the right kind only, so that there is no cycle."""
    id, kind = record["id"], record["kind"]

    def refer(to: Any, *kinds: str) -> None:
        if not isinstance(to, str) or earlier.get(to, {}).get("kind") not in kinds:
            raise _Bad(id, f"refers to {str(to)[:40]!a}, which is no earlier {' or '.join(kinds)}")

    if kind == "source":
        if record["of"] not in ("prompt", "image", "document"):
            raise _Bad(id, f"a source of the kind {record['of'][:40]!a}")
        if record["of"] != "prompt" and not SHA256.fullmatch(record["sha256"]):
            raise _Bad(id, "its digest is no SHA-256, so no file can be of it")
    elif kind in _STEPS:
        if record["of"] not in _STEPS[kind] or record["step"] != steps:
            raise _Bad(id, f"step {steps} should be here, of the kind {' or '.join(_STEPS[kind])}")
        after = record["after"]
        if not all(type(n) is int and 0 <= n < steps for n in after) or after != sorted(set(after)):
            raise _Bad(id, "follows a step that is not earlier")
        if min(record["tokens_in"], record["tokens_out"]) < 0:
            raise _Bad(id, "a negative number of tokens")
    elif kind == "evidence":
        refer(record["by"], "call", "decision", "answer")
        if record["of"] not in EVIDENCE_KINDS:
            raise _Bad(id, f"evidence of the kind {record['of'][:40]!a}")
        if record["source"]:
            refer(record["source"], "source")
    elif kind == "claim":
        refer(record["of"], "answer")
        if record["needs"] not in ("image", "text", "prior", "none"):
            raise _Bad(id, f"needs {record['needs'][:40]!a}")
    elif kind == "ruling":
        refer(record["claim"], "claim")
        if record["label"] not in _LABELS:
            raise _Bad(id, f"the label {record['label'][:40]!a} is not one of {', '.join(_LABELS)}")
        if record["label"] == "supported" and not record["evidence"]:
            raise _Bad(id, "supported by nothing")
    for to in record.get("evidence", ()):
        refer(to, "evidence")
    if len(set(map(str, record.get("evidence", ())))) != len(record.get("evidence", ())):
        raise _Bad(id, "names the same evidence twice")


# ---- records that are open must say the same -------------------------------------------------------


def _agree(opened: Opened, by_id: Mapping[str, Record]) -> Trace | None:
    for record in opened.records[:-1]:
        value = opened.value(record["id"])
        if record["id"] not in opened.openings:
            continue
        if not isinstance(value, dict):
            raise _Bad(record["id"], "its opening is no object")
        try:
            _consistent(record, value, opened, by_id)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise _Bad(record["id"], f"its opening has not the fields of a {record['kind']}") from error
    if opened.closed:
        return None
    try:
        return restore(opened.records, opened.openings)
    except DataError as error:
        raise _Bad(opened.records[-1]["id"], str(error)) from error


def _consistent(record: Record, value: Any, opened: Opened, by_id: Mapping[str, Record]) -> None:
    id, kind = record["id"], record["kind"]
    if kind == "source" and record["of"] == "prompt":
        value["id"]
    elif kind == "evidence":
        row = value["evidence"]
        holder = opened.value(record["by"])
        if holder is not None and row not in results(holder):
            raise _Bad(id, f"{record['by']} did not return this evidence")
        shown = row["images"][0]["sha256"] if row.get("images") else row.get("sha256", "")
        stated = by_id[record["source"]]["sha256"] if record["source"] else ""
        if shown != stated or row.get("kind", "passage") != record["of"]:
            raise _Bad(id, "it is of another kind or another source than its record states")
    elif kind == "answer":
        if (record["stop"] == "answered" and value["error"]) or (
            record["stop"] == "failed" and not value["error"]
        ):
            raise _Bad(id, "its error does not fit why it stopped")
        own = [words_of(m) for m in value["messages"] if m["role"] == "assistant"]
        prompt = opened.value("source/0")
        if not own and prompt is not None:
            own = [
                words_of(m) for m in prompt.get("messages", [])[: value["begins"]] if m["role"] == "assistant"
            ]
        if (own or prompt is not None) and value["text"] != (own[-1] if own else ""):
            raise _Bad(id, "the answer is not the last message of the assistant")
    elif kind == "claim":
        answer = opened.value(record["of"])
        if answer is not None and record["at"] is not None:
            start, end = record["at"]
            if not 0 <= start < end <= len(answer["text"]) or answer["text"][start:end] != value["quote"]:
                raise _Bad(id, "its span of the answer does not hold its quote")


def results(value: Any) -> list[Any]:
    """Collect the rows of evidence from the result of a step, or from the messages of an answer.

    Args:
        value: JSON data.

    Returns:
        rows of Evidence in every ToolResult, in order.
    """
    if isinstance(value, dict):
        if value.get("type") == "ToolResult":
            return list(value.get("evidence", []))
        return [row for item in value.values() for row in results(item)]
    return [row for item in value for row in results(item)] if isinstance(value, list) else []


def words_of(message: Mapping[str, Any]) -> str:
    """Join the text parts of a message.

    Args:
        message: JSON row with `parts`.

    Returns:
        the texts, joined by line breaks.
    """
    return "\n".join(part for part in message["parts"] if isinstance(part, str))
