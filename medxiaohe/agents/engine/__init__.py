"""One engine for every conversation: a workflow is a generator over one case that yields requests.

    @workflow
    def panel(case, rounds=2):
        views = yield [Ask(role, case.prompt.messages) for role in ("cardiologist", "radiologist")]
        yield Note("views", [view.text for view in views])
        last = yield Ask("director", (*case.prompt.messages, *views))
        return Answer(last.text)

The engine batches requests over cases (or lets cases flow where the backend is a server), binds tools to the
images of each case, ends a case at its `Budget`, records every step, goes on after a kill (`Journal`), and
replays a trace without a model.
"""

from medxiaohe.agents.engine.case import Budget, BudgetSpent, Case, Tools
from medxiaohe.agents.engine.cast import Cast
from medxiaohe.agents.engine.conversation import Conversation
from medxiaohe.agents.engine.drive import run
from medxiaohe.agents.engine.example import Example
from medxiaohe.agents.engine.flows import about, is_flow, options, settings_type
from medxiaohe.agents.engine.journal import Journal
from medxiaohe.agents.engine.record import asked
from medxiaohe.agents.engine.replay import replay
from medxiaohe.agents.engine.requests import Answer, Ask, Flow, Note, Rank, Use
from medxiaohe.agents.engine.workflow import Workflow, workflow

__all__ = [
    "Answer", "Ask", "Budget", "BudgetSpent", "Case", "Cast", "Conversation", "Example", "Flow", "Journal",
    "Note", "Rank", "Tools", "Use", "Workflow", "about", "asked", "is_flow", "options", "replay", "run",
    "settings_type", "workflow",
]  # fmt: skip
