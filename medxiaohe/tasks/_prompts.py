"""The ways to ask, by name. Which one is used is a property of the task, never of the answer."""

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


def known(name: str, where: str) -> None:
    if name not in PROMPTS:
        raise ConfigError(f"{where}: no prompt {name!r}{nearest(name, PROMPTS)}")


def asked(name: str, question: str, choices: Sequence[str] = ()) -> str:
    """The words of a prompt: `options` are lettered lines, `names` are the options in a row."""
    lines = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    parts = {
        "question": question,
        "options": lines,
        "names": ("、" if name.endswith(".zh") else ", ").join(choices),
    }
    return re.sub(r"\{(question|options|names)\}", lambda match: parts[match[1]], PROMPTS[name])


def offers(name: str) -> bool:
    return "{options}" in PROMPTS[name] or "{names}" in PROMPTS[name]
