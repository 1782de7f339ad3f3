"""Prompt templates by name. Which one is used is a property of the task, never of the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medxiaohe.errors import ConfigError
from medxiaohe.plugins import nearest
from medxiaohe.scoring.choice import LETTERS

PROMPTS = {
    "plain": "{question}",
    "choice": "{question}\n{options}\nAnswer with the letter.",
    "choice.zh": "{question}\n{options}\n请只回答正确选项的字母。",
    "choices": "{question}\n{options}\nAnswer with the letters of all correct options.",
    "choices.zh": "{question}\n{options}\n请回答所有正确选项的字母。",
    "one_of": "{question}\nAnswer with one of: {names}.",
    "one_of.zh": "{question}\n请从以下选项中选择一项回答：{names}。",
    "yes_no": "{question} Answer yes or no.",
    "short": "{question} Answer in a few words.",
    "visual": "{question} Answer yes, no, or in a few words.",
    "visual.zh": "{question} 请用是、否或简短的词语回答。",
    "number": "{question} Answer with the number.",
    "list": "{question} Answer with one name a line and nothing else.",
    "ranked": "{question}\nAnswer with the five most likely ones, the most likely first, one a line.",
    "report": "{question}\nWrite only the text asked for.",
}


def known(name: str, origin: str) -> None:
    """Check the name of a prompt.

    Args:
        name: a key of `PROMPTS`.
        origin: what names it, for the message.

    Raises:
        ConfigError: there is no such prompt.
    """
    if name not in PROMPTS:
        raise ConfigError(f"{origin}: no prompt {name!r}{nearest(name, PROMPTS)}")


def asked(name: str, question: str, choices: Sequence[str] = ()) -> str:
    """Fill a prompt template.

    Args:
        name: a key of `PROMPTS`.
        question: words of the question.
        choices: options; `{options}` become lettered lines, `{names}` one row.

    Returns:
        Text of the user message.

    Raises:
        KeyError: there is no such prompt.
    """
    lines = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    parts = {
        "question": question,
        "options": lines,
        "names": ("、" if name.endswith(".zh") else ", ").join(choices),
    }
    return re.sub(r"\{(question|options|names)\}", lambda match: parts[match[1]], PROMPTS[name])


def offers(name: str) -> bool:
    """Test whether a prompt lists the options.

    Args:
        name: a key of `PROMPTS`.

    Returns:
        True for prompts with {options} or {names}.
    """
    return "{options}" in PROMPTS[name] or "{names}" in PROMPTS[name]
