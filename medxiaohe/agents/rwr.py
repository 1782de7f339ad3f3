"""Workflow: think, query and answer in Med-RwR's turn grammar (arXiv 2510.18303), at most three rounds of
retrieval; and confidence-driven image re-retrieval (CDIR).

    (<think>...</think>(<query>...</query><retrieve>...</retrieve>)?)*<answer>...</answer>

paper says                                we do, and why
<retrieve> inside the model's turn        a message of role `tool`: what was retrieved can neither carry loss
                                          nor be forged, and every chat server can serve such a model
one query of a turn is run (code)         all of them: none is dropped in silence
CDIR below a confidence of 0.8 (its code  the setting `threshold`; 0, the default, is CDIR off: it needs
has 0.9)                                  likelihoods. Fires only below the threshold
confidence: probability of the token of   of the answer among the options, the rest of the reply being equal;
the answer                                without options the mean likelihood of a word of the answer
the nearest image by BiomedCLIP and its   what the tool `similar_cases` returns; both answers and both
caption, one more block, answer again     confidences are noted
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.engine.tool_loop import Grammar, Need, tool_loop
from medxiaohe.agents.parsing.confidence import confidence
from medxiaohe.types import Message, ToolCall, ToolResult, Trace

MAX_ROUNDS = 3
EXAMPLE = Example(
    "<think>clear</think><answer>B</answer>",
    Message("assistant", ("<think>more</think><query>scurvy</query>",)),
)
SEARCH = "search"  # the tool that answers queries
QUERY = re.compile(r"<query>(.*?)</query>", re.DOTALL)
ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
INSIDE = r"(?:(?!</?(?:think|query|retrieve|answer)>).)*\S(?:(?!</?(?:think|query|retrieve|answer)>).)*"
THOUGHT, ASKED, GIVEN, SAID = (
    rf"<{tag}>{INSIDE}</{tag}>" for tag in ("think", "query", "retrieve", "answer")
)
GRAMMAR = re.compile(rf"\s*(?:{THOUGHT}\s*(?:{ASKED}\s*{GIVEN}\s*)?)*{SAID}\s*", re.DOTALL)
HOW = (
    "Think between <think> and </think>. If you need to look something up, write one query between <query>"
    " and </query> and wait: passages follow between <retrieve> and </retrieve>. When you are sure, write the"
    " answer between <answer> and </answer>."
)


@workflow(roles=(), ranks="threshold")
def rwr(
    case: Case, rounds: int = MAX_ROUNDS, use: Need = "allowed", threshold: float = 0.0
) -> Generator[Any, Any, Answer]:
    """Think, retrieve and answer; a query after the last round ends the conversation with an error.

    Args:
        rounds: rounds of retrieval at most.
        use: allowed, forced or none: whether tools may, must or cannot be called.
        threshold: confidence from 0 to 1 below which the answer is repeated with a similar case; 0 is never.
    """
    if use == "none":
        case.tools = ()
    answer = yield from tool_loop(case, RWR, rounds, use)
    if not threshold or answer.error:
        return answer
    try:
        return (yield from _again(case, answer, threshold))
    except BudgetSpent:
        return answer


def _again(case: Case, first: Answer, threshold: float) -> Generator[Any, Any, Answer]:
    """CDIR: the answer again, behind a similar case, where its confidence is below the threshold."""
    talk = list(first.messages or ())
    sure = yield from confidence(talk, ANSWER, case.prompt.choices)
    if sure is None or sure >= threshold:
        yield Note("cdir", {"fired": False, "confidence": sure})
        return first
    near = yield Use(
        "similar_cases", {"image": 1} if case.images else {"text": case.prompt.messages[-1].text}
    )
    talk += [retrieved([near]), (yield Ask("", (*talk, retrieved([near])), stop=RWR.stop))]
    after = yield from confidence(talk, ANSWER, case.prompt.choices)
    yield Note("cdir", {"fired": True, "confidence": sure, "confidence_after": after, "error": near.error})
    return first if after is None else Answer(messages=talk)


def queries(text: str, round_: int) -> tuple[ToolCall, ...]:
    """Read the searches of a turn, all of several queries.

    Returns:
        calls of the tool `search`; () if the turn has an answer
    """
    if ANSWER.search(text):
        return ()
    results = [query.strip() for query in QUERY.findall(text)]
    return tuple(ToolCall(f"query_{round_}_{i}", SEARCH, {"query": query}) for i, query in enumerate(results))


def retrieved(results: Sequence[ToolResult]) -> Message:
    """Format results as the block that answers the queries of a turn; passages cannot close the block."""
    texts = [part for r in results for part in (*r.parts, r.error) if isinstance(part, str) and part]
    inside = "\n".join(texts) or "nothing found"
    inside = re.sub(r"<(/?)(think|query|retrieve|answer)>", r"< \1\2>", inside)
    pictures = [part for result in results for part in result.parts if not isinstance(part, str)]
    evidence = tuple(e for result in results for e in result.evidence)
    return Message(
        "tool", (ToolResult(results[0].call_id, (f"<retrieve>\n{inside}\n</retrieve>", *pictures), evidence),)
    )


RWR = Grammar(
    calls=lambda reply, round_: queries(reply.text, round_),
    shown=lambda reply, results: retrieved(results),
    native=False,
    stop=("</query>", "</answer>"),
)


def transcript(trace: Trace) -> str:
    """Concatenate what the model wrote and what was retrieved, in order."""
    texts = []
    for message in trace.messages[len(trace.prompt.messages) :]:
        if message.role == "tool":
            texts += [
                part
                for result in message.parts
                if isinstance(result, ToolResult)
                for part in result.parts
                if isinstance(part, str)
            ]
        elif message.role == "assistant":
            texts.append(message.text)
    return "".join(texts)


def conforms(trace: Trace) -> bool:
    """Check a conversation against the grammar: at most `MAX_ROUNDS` queries, and no <retrieve> that the
    model wrote itself."""
    own = [m.text for m in trace.messages[len(trace.prompt.messages) :] if m.role == "assistant"]
    if any(re.search(r"</?retrieve>", text) for text in own):
        return False
    text = transcript(trace)
    return bool(GRAMMAR.fullmatch(text)) and text.count("<query>") <= MAX_ROUNDS


def given_answer(trace: Trace) -> str:
    """Read the text of the last <answer>, or ""."""
    answers = ANSWER.findall(trace.answer)
    return answers[-1].strip() if answers else ""
