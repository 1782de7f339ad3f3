"""Workflow: rationale, its review, a caption, and experts that vote (MedCoT, arXiv 2412.13736).

paper says                            we do, and why
a rationale, judged                   the same; a judgement that cannot be read counts as "not effective", so
                                      the rationale is written again
effective: kept or shortened          kept: a shorter one would cost a request for no information
a diagnostic specialist, a T5 with a  models that are asked: `experts` roles, each with its number; each
mixture of 6 experts, top 2           may be another model of the cast, such as an expert of train.moe
"vote" in the text, a gate in the     votes over the experts' answers; experts without an answer abstain; of
code                                  equal answers the first wins, and the trace has all of them
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, workflow
from medxiaohe.agents.parsing.blocks import block
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.agents.parsing.verdict import vote
from medxiaohe.agents.parsing.voting import plurality
from medxiaohe.errors import ConfigError
from medxiaohe.types import Message, ToolCall

EXPERTS = tuple(f"expert_{n}" for n in range(1, 7))
EXAMPLE = Example("Answer: yes", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))


@workflow(roles=("initial", "follow_up", *EXPERTS))
def medcot(
    case: Case, experts: int = 6, rationale: bool = True, prompts: str = ""
) -> Generator[Any, Any, Answer]:
    """A rationale that was reviewed, then the votes of `experts`; `rationale: false` leaves it out.

    Args:
        case: the item: prompt, tools and images.
        experts: that vote, from 1 to 6.
        rationale: whether a rationale is written first.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    if not 1 <= experts <= len(EXPERTS):
        raise ConfigError(f"medcot: experts must be from 1 to {len(EXPERTS)}, not {experts}")
    talk, reason, caption = case.prompt.messages, "none", "none"
    try:
        if rationale:
            reason = (yield Ask("initial", (*talk, user("medcot_rationale", prompts)))).text
            shown = block("rationale", reason)
            effective = vote(
                (yield Ask("follow_up", (*talk, user("medcot_judge", prompts, rationale=shown))))
            )
            yield Note("effective", effective)
            if effective != "yes":
                again = user("medcot_again", prompts, rationale=shown)
                reason = (yield Ask("follow_up", (*talk, again))).text
            caption = (yield Ask("follow_up", (*talk, user("medcot_caption", prompts)))).text
        fields = {"caption": block("caption", caption), "rationale": block("rationale", reason)}
        messages = [user("medcot_answer", prompts, number=n, **fields) for n in range(1, experts + 1)]
        replies = yield [Ask(role, (*talk, last)) for role, last in zip(EXPERTS, messages, strict=False)]
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")
    return (yield from plurality(replies, case.prompt.choices, "experts"))
