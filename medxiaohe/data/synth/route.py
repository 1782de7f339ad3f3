"""Choose the length of an item's chain of thought: none, short or long (S1 calls it personalised visual CoT).

Perception questions (presence, side, organ, plane, modality, colour, count) get a short chain or none,
because a long one draws attention away from the image; questions that take several facts get a long one. The
paper states the routing and no rule. Ours reads the question alone, never the gold, so that training and
inference are routed alike.
"""

from __future__ import annotations

import re
from typing import Literal

from medxiaohe.types import Sample

Length = Literal["none", "short", "long"]
PERCEPTION = re.compile(
    r"""^\W*(?:(?:in|on|from|based\ on|at)\ [^,?]{0,60},?\s*)?(?:
    (?:is|are|was|were|do|does|did|can|has|have|could)\b |
    (?:which|what)\ (?:\w+\ )?(?:side|plane|modality|view|organ|organs|sequence|color|colour|part|lobe|lung
        |type\ of\ (?:image|scan|imaging))\b |
    (?:where|how\ many|how\ was|count|identify|name|locate|describe)\b |
    what(?:'s|\ is|\ are|\ structures?|\ kind\ of\ (?:image|scan)|\ imaging)\b )""",
    re.IGNORECASE | re.VERBOSE,
)
REASONING = re.compile(
    r"""\b(?:why|diagnos\w+|cause[sd]?|causing|etiolog\w+|most\ likely|likely|best\ (?:explain\w*|next)|next\ step|differential|manage\w*
    |treat\w*|therap\w+|complication\w*|prognos\w+|mechanism|explain\w*|suggest\w*|indicat\w+|consistent\ with|risk|symptoms?|present\ with
    |expect\w*|concern\w*|associated\ with|pathology|disease\ process|history|compare\w*)\b""",  # noqa: E501
    re.IGNORECASE | re.VERBOSE,
)
ONE_FACT = ("meaning", "group")  # questions of the tree that one fact decides


def route(sample: Sample) -> Length:
    """Choose the length of the thought that goes with a sample's answer.

    Args:
        sample: the row; of its own questions only the first line of the last one is read, never the gold.

    Returns:
        `none`, `short` (perception) or `long`.
    """
    if sample.provenance.made in ("choice", "path"):
        return "none" if sample.provenance.asks in ONE_FACT else "long"
    question = next((m.text for m in reversed(sample.prompt.messages) if m.role == "user"), "")
    if not sample.images:
        return "long"
    first = question.split("\n")[0]
    return "short" if PERCEPTION.search(first) and not REASONING.search(first) else "long"
