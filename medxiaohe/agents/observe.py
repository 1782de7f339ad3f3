"""Workflow: Analyze, Reason, Conclude: observations in boxes first, then the conclusion from them (the image
agent of MedXIAOHE, arXiv 2602.12705).

paper says                               we do, and why
observations around anatomical landmarks each is JSON {landmark, box, finding}, the box in percent of the
with boxes                               image, repaired once; boxes of the tool `detect`, where it is there,
                                         are shown first
zoom-in on regions                       the tool `zoom` cuts every box, and the observer looks again: an
                                         observation that it does not see again is dropped and noted
the conclusion from located              it must cite an observation as (1); one that cites none, or one that
observations                             is not there, is written again once, then refused
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.parsing.blocks import block, last_word, text_of
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.agents.parsing.structured import ask_json, number_in, text_in
from medxiaohe.agents.parsing.verdict import vote
from medxiaohe.models.asking import Unreadable
from medxiaohe.types import Claim, ImageRef, Message

ZOOM, DETECT = "zoom", "detect"
SIDES = ("left", "top", "right", "bottom")
CITED = re.compile(r"\((\d+)\)")
SEEN = '{"observations": [{"landmark": "disc", "box": [10, 10, 60, 60], "finding": "pale"}]}'
EXAMPLE = Example(f"{SEEN} (1)\nAnswer: B", Message("assistant", (SEEN,)))


@workflow(roles=("observer",))
def observe(
    case: Case, most: int = 5, look_again: bool = True, prompts: str = ""
) -> Generator[Any, Any, Answer]:
    """At most `most` observations in boxes, each looked at again in its part of the image, then a conclusion
    that cites them. Without an image the observations are of the text, and have no box.

    Args:
        case: the item: prompt, tools and images.
        most: observations at most.
        look_again: whether each box is looked at again.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    try:
        return (yield from _observe(case, most, look_again, prompts))
    except Unreadable as problem:
        return Answer(error=f"no observation can be read: {problem}")
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")


def _observe(case: Case, most: int, look_again: bool, folder: str) -> Generator[Any, Any, Answer]:
    talk, names = case.prompt.messages, {tool.name for tool in case.tools}
    pictures = len(case.images)
    boxes = "none"
    if pictures and DETECT in names:
        boxes = text_of((yield Use(DETECT, {"image": 1})))
    message = user("observe_look", folder, most=most, boxes=block("detected boxes", boxes))
    rows = yield from ask_json("observer", (*talk, message), lambda value: _read(value, most, bool(pictures)))
    if pictures and look_again and ZOOM in names:
        rows = yield from _confirmed(case, rows, folder)
    yield Note("observations", rows)
    listed = "\n".join(f"({n}) {_line(row)}" for n, row in enumerate(rows, 1)) or "none"
    last = user("observe_conclude", folder, observations=block("observations", listed))
    reply = yield Ask("", (*talk, last))
    cited = _cited(reply.text, len(rows))
    if rows and not cited:
        again = user("observe_cite", folder, number=len(rows))
        reply = yield Ask("", (*talk, last, Message("assistant", (reply.text,)), again))
        cited = _cited(reply.text, len(rows))
    if rows and not cited:
        return Answer(reply.text, error="the conclusion cites no observation that was made")
    claims = [Claim(str(n), _line(rows[n - 1]), needs="image" if pictures else "text") for n in cited]
    return last_word(reply, tuple(claims))


def _confirmed(case: Case, rows: Sequence[dict[str, Any]], folder: str) -> Generator[Any, Any, list[Any]]:
    """Keep the observations that the observer sees again in their regions; one whose region cannot be cut
    is kept."""
    boxes = [{"image": row["image"], **dict(zip(SIDES, row["box"], strict=True))} for row in rows]
    results = yield [Use(ZOOM, box) for box in boxes]
    parts = [[part for part in result.parts if isinstance(part, ImageRef)] for result in results]
    cut = [i for i, part in enumerate(parts) if part]
    asks = []
    for i in cut:
        about = user("observe_again", folder, number=i + 1, landmark=rows[i]["landmark"])
        text = f"{about.text}\n{block('finding', rows[i]['finding'])}"
        asks.append(Ask("observer", (Message("user", (*parts[i], text)),)))
    replies = yield asks
    seen = {i: vote(reply) for i, reply in zip(cut, replies, strict=True)}
    gone = [i + 1 for i in cut if seen[i] == "no"]
    yield Note("looked_again", {"seen": {str(i + 1): label for i, label in seen.items()}, "dropped": gone})
    return [row for i, row in enumerate(rows) if seen.get(i) != "no"]


def _read(value: Any, most: int, pictures: bool) -> list[dict[str, Any]]:
    rows = value.get("observations") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not rows:
        raise Unreadable('the object needs "observations": a list of objects')
    results = []
    for row in rows[:most]:
        result: dict[str, Any] = {key: text_in(key)(row) for key in ("landmark", "finding")}
        if pictures:
            box = row.get("box")
            if not isinstance(box, list) or len(box) != 4:
                raise Unreadable('each observation needs "box": [left, top, right, bottom] in percent')
            result["box"] = [number_in(side, 0, 100)({side: at}) for side, at in zip(SIDES, box, strict=True)]
            if result["box"][0] >= result["box"][2] or result["box"][1] >= result["box"][3]:
                raise Unreadable("a box has its left below its right and its top below its bottom")
            result["image"] = int(number_in("image", 1, 1000)(row)) if "image" in row else 1
        results.append(result)
    return results


def _line(row: dict[str, Any]) -> str:
    location = f" at {', '.join(f'{side:g}' for side in row['box'])} %" if "box" in row else ""
    return f"{row['landmark']}{location}: {row['finding']}"


def _cited(text: str, number: int) -> list[int]:
    """Read the observations that a conclusion cites; [] if one of them does not exist."""
    cited = list(dict.fromkeys(int(n) for n in CITED.findall(text) if len(n) < 4))
    return cited if all(1 <= n <= number for n in cited) else []
