"""What a query asks for, by prototypes of intents."""

from __future__ import annotations

from functools import cache

from medxiaohe.errors import ToolError
from medxiaohe.retrieval.prototypes import Prototypes, fitted
from medxiaohe.tools import tool
from medxiaohe.types import ToolResult

MOST_TEXT = 2000  # characters


@cache
def _example() -> Prototypes:
    """Two intents for the contract test; no task gets it."""
    rows = [("What are the symptoms of scurvy?", "symptoms"), ("How is scurvy treated?", "treatment")]
    agents = {"symptoms": "pre_diagnosis", "treatment": "post_diagnosis"}
    return fitted(rows, [(text, {name}) for text, name in rows], ["Who won?"], "ngrams", agents)


EXAMPLE_RESOURCES = {"prototypes": _example}


@tool(example={"text": "What are the symptoms of rickets?"})
def intents(text: str, *, prototypes: Prototypes) -> ToolResult:
    """What a query asks for (symptoms, causes, treatment, medicament ...), and the agents that this
    activates; none where it asks for nothing medical."""
    if not text.strip() or len(text) > MOST_TEXT:
        raise ToolError(f"give a text of 1 to {MOST_TEXT:,} characters, not of {len(text):,}")
    (names,) = prototypes.of([text])
    agents = prototypes.agents_of(names)
    shown = f"Intents: {', '.join(names) or 'none'}. Agents: {', '.join(agents) or 'none'}."
    return ToolResult("", (shown,), data={"intents": names, "agents": agents})
