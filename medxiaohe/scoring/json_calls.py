"""The calls an agent made and the answer it finished with, compared as data (MedAgentBench; FHIR and other
web calls).

The target is JSON {"calls": [{"method", "url", "body"}], "answer": [...]}; either part may be left out. Calls
are read from the tool calls of the trace and from text such as "POST URL" with a JSON body, "GET URL?a=b",
"FINISH([60])". Keys have no order, 1 is 1.0, hosts and the order of a query do not matter; a key too many or
a call too many is wrong. By default only calls that change something are compared: how an agent looks things
up is its own affair.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from medxiaohe.errors import DataError
from medxiaohe.scoring._answer import outside_thoughts
from medxiaohe.scoring._text import missing
from medxiaohe.types import Message, Sample, Score, ToolCall, Trace

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
WRITTEN = re.compile(r"(?m)^[^\w\n]*(GET|POST|PUT|PATCH|DELETE)\s+(\S+)[ \t]*\n?")
FINISH = re.compile(r"\bFINISH\s*\((.*)\)", re.DOTALL)
VERSION = re.compile(r"^/?(?:[^/]+/)*?(?=[A-Z][A-Za-z]+(?:/|$))")  # "/fhir/R4/" before "Observation"


@dataclass(frozen=True, slots=True)
class Call:
    """Web call in a form that compares equal for equal requests."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: str  # canonical JSON, "" for none


def json_calls(
    sample: Sample, trace: Trace, *, methods: Sequence[str] = CHANGING, ordered: bool = False
) -> Score:
    """Exact match of tool calls: 1 where the calls of these `methods` and the final answer are those of the
    target.

    Args:
        sample: its target is JSON {calls: [{method, url, body}], answer: [...]}; either may be missing.
        trace: its tool calls and texts are read.
        methods: HTTP methods whose calls are compared; by default those that change something.
        ordered: whether the order of the calls counts.

    Returns:
        1 or 0; `unparsed` without a call and an answer
    """
    gold = _gold(sample)
    actual = list(calls(trace))
    answer = finished(trace)
    if answer is None and ("answer" in gold or not actual):
        return missing("json_calls", trace, "no answer in FINISH([...]) and no call")
    expected = [_call(row) for row in gold.get("calls", ())]
    compared = [call for call in actual if call.method in methods]
    # calls as multisets unless their order counts
    if not ordered:
        expected, compared = sorted(expected, key=repr), sorted(compared, key=repr)
    same_calls = "calls" not in gold or compared == expected
    same_answer = "answer" not in gold or _canonical(answer) == _canonical(gold["answer"])
    why = "" if same_calls else f"made {len(compared)} calls that are not the {len(expected)} of the gold; "
    why += "" if same_answer else f"finished with {_canonical(answer)}, gold {_canonical(gold['answer'])}"
    shown = json.dumps(
        {"calls": [f"{c.method} {c.path}" for c in compared], "answer": answer}, ensure_ascii=False
    )
    return Score(
        "json_calls",
        float(same_calls and same_answer),
        parsed=shown,
        why=why or "the calls and the answer of the gold",
    )


def _gold(sample: Sample) -> dict[str, Any]:
    try:
        gold = json.loads(sample.target)
    except ValueError:
        gold = None
    if not isinstance(gold, dict) or not {"calls", "answer"} & set(gold):
        raise DataError(
            'the target of `json_calls` must be JSON {"calls": [...], "answer": [...]}, not'
            f" {sample.target[:80]!r}"
        )
    return gold


def calls(trace: Trace) -> Iterator[Call]:
    """Extract the calls that an agent made after its prompt, in order.

    Args:
        trace: of one item.

    Yields:
        calls, from tool calls and from text
    """
    for message in trace.messages[len(trace.prompt.messages) :]:
        if message.role != "assistant":
            continue
        for part in message.parts:
            if isinstance(part, ToolCall):
                yield _tool_call(part)
            elif isinstance(part, str):
                yield from _written(outside_thoughts(part))


def _tool_call(call: ToolCall) -> Call:
    """A tool named by its method, as MedAgentBench does ("POST {api_base}/Observation"), or one with a url
    among its arguments."""
    method, _, url = call.name.partition(" ")
    if not url:
        arguments = dict(call.arguments)
        method, url = str(arguments.pop("method", "POST")), str(arguments.pop("url", call.name))
        body = arguments.pop("body", arguments or None)
        return _call({"method": method, "url": url, "body": body})
    if method == "GET":
        query = "&".join(f"{key}={value}" for key, value in call.arguments.items())
        return _call({"method": method, "url": f"{url}?{query}"})
    return _call({"method": method, "url": url, "body": dict(call.arguments)})


def _written(text: str) -> Iterator[Call]:
    for match in WRITTEN.finditer(text):
        body, rest = None, text[match.end() :].lstrip(" \n`").removeprefix("json").lstrip()
        if rest.startswith(("{", "[")):
            try:
                body, _ = json.JSONDecoder().raw_decode(rest)
            except (ValueError, RecursionError):
                body = f"not JSON: {rest[:80]}"  # equals no gold
        yield _call({"method": match[1], "url": match[2], "body": body})


def _call(row: dict[str, Any]) -> Call:
    url = urlsplit(re.sub(r"^\{\w+\}", "", str(row["url"])).strip("`'\"<>"))
    path = VERSION.sub("", unquote(url.path)).strip("/")
    body = row.get("body")
    query = tuple(
        sorted(pair for pair in parse_qsl(url.query, keep_blank_values=True) if pair[0] != "_format")
    )
    return Call(str(row["method"]).upper(), path, query, "" if body is None else _canonical(body))


def finished(trace: Trace) -> Any:
    """Parse the argument of FINISH([...]); None when the agent never finished or not with JSON.

    Args:
        trace: of one item.

    Returns:
        parsed JSON, or None
    """
    match = FINISH.search(outside_thoughts(trace.answer))
    try:
        return None if match is None else json.loads(match[1].strip() or "[]")
    except (ValueError, RecursionError):
        return None


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """The same JSON with 1.0 as 1 and texts without blanks around them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.strip() if isinstance(value, str) else value


CASE_SENSITIVE = True  # the target is JSON
EXAMPLE = Sample(
    "json_calls/example",
    (
        Message("user", ("Record the blood pressure 118/77 mmHg of patient S1, then call FINISH([]).",)),
        Message(
            "assistant",
            ('POST http://server/fhir/Observation\n{"subject": "S1", "value": "118/77 mmHg"}\nFINISH([])',),
        ),
    ),
    target=(
        '{"calls": [{"method": "POST", "url": "Observation", "body": {"value": "118/77 mmHg", "subject":'
        ' "S1"}}], "answer": []}'
    ),
)
