"""Load the words of each language that parsers search for: `languages/*.yaml`, one file a language.

A speaker extends a file, or adds one, without touching code; the examples at its end are run by the tests.
English is always read, other languages where a reply shows their script or their words, so that "Resposta: B"
and "The answer is B" are both found and the Spanish "no" changes nothing in an English sentence.
"""

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "languages"
SCRIPTS = {
    "han": re.compile("[\u4e00-\u9fff]"),
    "kana": re.compile("[\u3040-\u30ff]"),
    "hangul": re.compile("[\uac00-\ud7af]"),
}
SIGNS = 2  # different common words of a language that show that a reply is written in it
NEVER = "(?!)"  # a pattern that matches nothing
ENGLISH = "en"
SHARED = {"no", "si", "also", "así", "luego", "logo"}  # words of several languages


@lru_cache(maxsize=1)
def rules() -> dict[str, dict[str, Any]]:
    """Load the language files, once for a process.

    Returns:
        The content of each file by its stem: "en", "zh", ...
    """
    return {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(FOLDER.glob("*.yaml"))
        if path.stem != "marks"
    }


@lru_cache(maxsize=1)
def marks() -> dict[str, Any]:
    """Load the marks of thinking, of the end of a reply and of an answer (`languages/marks.yaml`).

    Returns:
        The content of that file.
    """
    content: dict[str, Any] = yaml.safe_load((FOLDER / "marks.yaml").read_text(encoding="utf-8"))
    return content


@lru_cache(maxsize=4096)
def spoken(text: str) -> tuple[str, ...]:
    """Detect the languages of a text whose rules read it.

    English always, at most one other language of Latin letters (the one most of whose words occur, `SIGNS` at
    least), and every language whose script occurs.

    Args:
        text: a reply.

    Returns:
        Names of language files in their order.
    """
    low = text.lower()
    words = set(re.findall(r"[^\W\d_]+", low))
    latin = {
        name: _shown(name, low, words)
        for name, rule in rules().items()
        if name != ENGLISH and "script" not in rule
    }
    # of languages with Latin letters only the best is read: their short words overlap
    best = max(latin, key=lambda name: latin[name], default="")
    return tuple(
        name
        for name, rule in rules().items()
        if name == ENGLISH
        or (name == best and latin[name] >= SIGNS)
        or ("script" in rule and _written(rule["script"], text))
    )


def _written(script: str, text: str) -> bool:
    # "正解：B" and "答案：B" have no kana: Han alone is read by the rules of both
    return any(SCRIPTS[name].search(text) for name in (("kana", "han") if script == "kana" else (script,)))


def _shown(name: str, low: str, words: set[str]) -> int:
    """How many different words of a language a text shows; one that announces an answer counts as enough."""
    signs = words & set(map(str, rules()[name]["signs"]))
    # a word with letters that English lacks counts twice: "opción"
    return sum(1 if sign.isascii() else 2 for sign in signs) + SIGNS * bool(_announcing(name).search(low))


@lru_cache(maxsize=64)
def _announcing(name: str) -> re.Pattern[str]:
    rule = rules()[name]
    answer_words = set(rule["yes"] + rule["no"] + rule["maybe"] + rule["therefore"]) - SHARED
    entries = [*rule["answer"], *rule["final"], *rule["choose"], *rule["it_is"], *sorted(answer_words)]
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(str, entries))})(?!\w)")


def latin(names: tuple[str, ...]) -> tuple[str, ...]:
    """Select the languages that are written in Latin letters.

    Args:
        names: of language files.

    Returns:
        Those without a `script`, in order.
    """
    return tuple(name for name in names if "script" not in rules()[name])


@lru_cache(maxsize=4096)
def any_of(names: tuple[str, ...], *keys: str) -> str:
    """Build a pattern for any word that the languages list under the keys.

    Words of Latin letters are matched whole, those of other scripts at any position.

    Args:
        names: of language files.
        keys: of these files, such as "answer" or "not".

    Returns:
        A group without captures, longest words first; a pattern that never matches where no word is listed.
    """
    entries = Counter(str(entry) for key in keys for name in names for entry in rules()[name].get(key, ()))
    if not entries:
        return NEVER
    longest = sorted(entries, key=lambda entry: (-len(entry), entry))
    return "(?:" + "|".join(_entry(entry) for entry in longest) + ")"


def _entry(entry: str) -> str:
    pattern = entry.replace(" ?", r"\s*").replace(" ", r"\s+")
    if re.search("[\u3000-\uffff]", entry):
        return f"(?:{pattern})"
    start = r"(?<![^\W_])" if re.match(r"[\w(]", entry) and entry != "n't" else ""
    end = r"(?![^\W_])" if re.search(r"[\w)\]?*]$", entry) else ""
    return f"{start}(?:{pattern}){end}"


@lru_cache(maxsize=1)
def fields() -> str:
    """Build the pattern for names of JSON fields that hold an answer, in every language.

    Returns:
        A group without captures.
    """
    return any_of(tuple(rules()), "fields")
