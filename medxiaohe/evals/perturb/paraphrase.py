"""Paraphrase the question by templates, which change its frame and none of its facts.

If the run names a model to rewrite with, the version of that model is used instead, as long as it keeps every
number.
"""

import re

from medxiaohe.evals.perturb._question import Around, asked, edit, question
from medxiaohe.types import Sample

EXPECTS = "right"
EXAMPLE = asked("Which of the following is the most likely diagnosis?", "Gout", "Lupus", "Scurvy", target="A")
TEMPLATES = (  # each in turn, wherever it fits
    (r"\bWhich of the following\b", "Which one of these"),
    (r"\bwhich of the following\b", "which one of these"),
    (r"\bmost likely\b", "most probable"),
    (r"\bmost appropriate\b", "most suitable"),
    (r"\bpresents to\b", "comes to"),
    (r"\bpresents with\b", "comes in with"),
    (r"\bcomplains of\b", "reports"),
    (r"\bcomplaining of\b", "reporting"),
    (r"\bIs there\b", "Would you say there is"),
    (r"\bDoes this ([\w -]+?) show ([\w -]+)\?", r"Can \2 be seen on this \1?"),
    (r"\bWhat is the\b", "Please name the"),
    (r"\bWhat kind of\b", "Which sort of"),
    (r"\bhistory of\b", "past record of"),
    (r"\bthe next step\b", "what to do next"),
)
NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")


def paraphrase(sample: Sample, around: Around) -> Sample | None:
    """Ask the question in other words, by templates or by the model of `around`.

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """
    if around.rewrite is not None and (parts := question(sample)) is not None:
        written = around.rewrite(parts.stem.strip())
        if (
            written
            and written != parts.stem.strip()
            and sorted(NUMBERS.findall(written)) == sorted(NUMBERS.findall(parts.stem))
        ):
            return parts.changed(stem=written + ("\n" if parts.options else ""))
    return edit(sample, _by_templates)


def _by_templates(text: str) -> str:
    for pattern, instead in TEMPLATES:
        text = re.sub(pattern, instead, text, count=1)
    return text
