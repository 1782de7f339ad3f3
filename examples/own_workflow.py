"""A workflow of one's own: a second reader may object once.

python examples/own_workflow.py
medxiaohe ask "Which deficiency?" --model starter --workflow examples/own_workflow.py:second
"""

from medxiaohe.agents.engine import Answer, Ask, workflow
from medxiaohe.agents.parsing.verdict import vote
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.types import Message, Prompt


@workflow(roles=("reader",))
def second(case, question="Is this right? Yes or no, and why."):
    talk = [*case.prompt.messages, (yield Ask("", case.prompt.messages))]
    check = yield Ask("reader", [*talk, Message("user", (question,))])
    if vote(check) != "no":
        return Answer(messages=talk)
    return Answer(messages=[*talk, check, (yield Ask("", [*talk, Message("user", (check.text,))]))])


if __name__ == "__main__":
    cast = {"": scripted(answer=["Rickets", "Scurvy"]), "reader": scripted(answer=["No, the gums bleed."])}
    (trace,) = second([Prompt("1", (Message("user", ("Which deficiency?",)),))], cast)
    print(f"{trace.answer} after {len(trace.steps)} requests")
