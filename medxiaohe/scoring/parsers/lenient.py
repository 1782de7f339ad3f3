"""A second, lenient reading of replies that the strict one leaves unparsed: what their last word on it is.

The last sentence that names an option, says yes or no, or holds a number is taken for the answer,
announced or not. It must name one thing only, deny nothing, leave nothing open and suppose nothing, and
nothing behind it may take it back. So hedges, refusals, truncated replies and talk to the grader stay
what the strict reading calls them. A lenient reading is a guess about style and is shown beside the
strict one, never in its place; no reward takes it (`parsers.strict_only`).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

from medxiaohe.scoring import choice, choices, numeric, yes_no
from medxiaohe.scoring._answer import final
from medxiaohe.scoring._choice_words import words
from medxiaohe.scoring._languages import any_of, latin, spoken
from medxiaohe.scoring._numbers import quantities, readable
from medxiaohe.scoring._options import LETTERS, named
from medxiaohe.scoring._text import plain
from medxiaohe.types import Message, Sample, Score, Scorer, Trace

SENTENCE = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\b\d\.)(?<!\bNo\.)\s+|(?<=[。！？；])|\n+")
ENDS = re.compile(r"[.!。！)\]}\"'”」*]\s*$")
LETTER = re.compile(r"(?<![A-Za-z0-9'\-])([A-Z])(?![A-Za-z0-9'])(?!-[A-Za-z0-9])")
ARTICLE = re.compile(r" [a-z]")  # behind "A": an article and its noun
LOOKED_AT = 3  # sentences from the end: what stands before them is reasoning
Read = Callable[[str, Sample], str]


def lenient(scorer: Scorer, sample: Sample, trace: Trace, strict: Score) -> Score | None:
    """Score the lenient reading of a reply.

    Args:
        scorer: of the task; one of choice, choices, yes_no and numeric, with its settings.
        sample: the item, with its gold.
        trace: the conversation; its last answer is read.
        strict: the score of the strict reading, which holds wherever it is not `unparsed`.

    Returns:
        The score, or None for a scorer whose replies have no lenient reading.
    """
    function, settings = _function(scorer)
    if function not in READERS:
        return None
    if strict.status != "unparsed":
        return strict
    reading = READERS[function](trace.answer, sample)
    return said_score(scorer, settings, sample, trace, reading, strict, "the lenient reading")


def said_score(
    scorer: Scorer,
    settings: dict[str, object],
    sample: Sample,
    trace: Trace,
    reading: str,
    strict: Score,
    by: str,
) -> Score:
    """Score an answer that another reading extracted, as a reply that consists of that answer only.

    Args:
        scorer: of the task.
        settings: of the scorer, as `settings_of` returns them.
        sample: the item, with its gold.
        trace: the conversation.
        reading: the extracted answer, "" for none.
        strict: the score of the strict reading.
        by: name of the reading, for `why`.

    Returns:
        The score; `strict` where `reading` is "" or cannot be judged.
    """
    if not reading:
        return strict
    if settings.get("markers") in ("digits", "roman") and reading in LETTERS:
        at = LETTERS.index(reading)
        reading = str(at + 1) if settings["markers"] == "digits" else choice.ROMAN[at]
    alone = Trace(trace.prompt, (*trace.prompt.messages, Message("assistant", (f"Answer: {reading}",))))
    score = scorer(sample, alone)
    return replace(score, why=f"{by}: {score.why}") if score.status == "judged" else strict


def _function(scorer: Scorer) -> tuple[object, dict[str, object]]:
    settings: dict[str, object] = {}
    function: object = scorer
    while isinstance(function, partial):
        settings = {**function.keywords, **settings}
        function = function.func
    return function, settings


def reader(scorer: Scorer) -> Read | None:
    """Look up the lenient reader of a scorer.

    Args:
        scorer: of a task, partial or not.

    Returns:
        The reader, or None for a scorer without one.
    """
    return READERS.get(_function(scorer)[0])


def settings_of(scorer: Scorer) -> dict[str, object]:
    """Collect the settings that a partial scorer binds.

    Args:
        scorer: of a task.

    Returns:
        Keyword arguments such as {"markers": "digits"}; {} for a plain function.
    """
    return _function(scorer)[1]


# ---- readers ---------------------------------------------------------------------------------------


def read_choice(answer: str, sample: Sample) -> str:
    """Read the one option that the last sentences name, by letter or words.

    Args:
        answer: text of a reply, its thinking included.
        sample: the item, for its options; without them the letters A to E are read.

    Returns:
        The letter, or "".
    """
    texts = [plain(option) for option in sample.choices]
    letters = LETTERS[: len(texts) or 5]
    return _last(answer, lambda sentence, names: _options(sentence, texts, letters, names))


def read_choices(answer: str, sample: Sample) -> str:
    """Read the letters of the last sentence that has any.

    Args:
        answer: text of a reply, its thinking included.
        sample: the item, for its options.

    Returns:
        Letters in alphabetical order, "ABD", or ""; all letters at once are no answer.
    """
    letters = LETTERS[: len(sample.choices) or 5]

    def found(sentence: str, names: tuple[str, ...]) -> set[str]:
        several = "".join(sorted(set(_letters(sentence, letters, names))))
        return {several} if several and several != letters else set()

    return _last(answer, found)


def read_yes_no(answer: str, sample: Sample) -> str:
    """Read yes, no or maybe from the last sentences.

    Args:
        answer: text of a reply, its thinking included.
        sample: the item; maybe counts where its options or target have it.

    Returns:
        The word, or "".
    """
    offered = "maybe" in map(plain, (*sample.choices, sample.target))
    return _last(
        answer, lambda sentence, names: _words(sentence, names, offered), allowed=("no", "yes", "maybe")
    )


def read_numeric(answer: str, sample: Sample) -> str:
    """Read the one number of the last sentence that has any.

    Args:
        answer: text of a reply, its thinking included.
        sample: the item; not used.

    Returns:
        The number with its unit, or "".
    """

    def found(sentence: str, names: tuple[str, ...]) -> set[str]:
        numbers = quantities(sentence)
        if any(number.open or number.pair is not None for number in numbers):
            return {"", "open"}
        return {f"{number.value:.10g} {number.unit}".strip() for number in numbers}

    return _last(readable(answer), found)


READERS: dict[object, Read] = {
    choice.choice: read_choice,
    choices.choices: read_choices,
    choices.f1: read_choices,
    yes_no.yes_no: read_yes_no,
    numeric.numeric: read_numeric,
}


def _last(
    answer: str, extract: Callable[[str, tuple[str, ...]], set[str]], allowed: Sequence[str] = ()
) -> str:
    """What the last sentence that says anything says, if it is one thing and nothing is open; ""
    otherwise.
    """
    text = final(answer)
    names = spoken(text)
    tail = [sentence for sentence in SENTENCE.split(text) if plain(sentence)][-LOOKED_AT:]
    values = [value for sentence in tail for value in extract(sentence, names)]
    if len(set(values)) != 1 or not values[0]:
        return ""  # two answers, or none
    at = max(i for i, sentence in enumerate(tail) if extract(sentence, names))
    if not ENDS.search(text) and not plain(tail[-1]).endswith(plain(values[0])):
        return ""  # it stops in the middle of a sentence
    doubtful = any(_open(names).search(_without(sentence, allowed)) for sentence in tail[at:])
    return "" if doubtful or tail[at].rstrip().endswith(("?", "？")) else values[0]


def _without(sentence: str, words: Sequence[str]) -> str:
    return re.sub(rf"\b(?:{'|'.join(words)})\b", " ", sentence.lower()) if words else sentence.lower()


def _options(sentence: str, texts: Sequence[str], letters: str, names: tuple[str, ...]) -> set[str]:
    lone = set(_letters(sentence, letters, names))
    return lone | named(sentence, texts, names).keys()


def _letters(sentence: str, letters: str, names: tuple[str, ...]) -> list[str]:
    """Letters that stand alone in a sentence; "A fracture" and a middle "I" have none."""
    return [
        match[1]
        for match in LETTER.finditer(sentence)
        if match[1] in letters and not _word(match[1], sentence[match.end() :], names)
    ]


def _word(letter: str, rest: str, names: tuple[str, ...]) -> bool:
    """Whether a letter is the article of "A fracture" or the speaker of "I think"."""
    return letter in "AI" and bool(ARTICLE.match(rest)) and not words(names).after_letter.match(rest)


def _words(sentence: str, names: tuple[str, ...], maybe: bool) -> set[str]:
    present = set()
    for name in ("yes", "no", "maybe"):
        pattern = re.compile(any_of(latin(names), name), re.IGNORECASE)
        for match in pattern.finditer(sentence):
            if name != "no" or not re.match(
                r"[\s.]+(?!yes|no\b)\w", sentence[match.end() :], re.IGNORECASE
            ):  # "no effusion", "No. 3 rib"
                present.add(name)
    return present if maybe or "maybe" not in present else {"", "maybe"}


@lru_cache(maxsize=128)
def _open(names: tuple[str, ...]) -> re.Pattern[str]:
    """Words that keep a sentence from saying an answer: doubt, denial, alternatives, suppositions,
    retractions.
    """
    keys = ("doubt", "not", "wrong", "none", "others", "suppose", "uncertain", "condition", "or", "retract",
            "second_thought", "lesser", "names", "every", "hedge_before", "hedge_after")  # fmt: skip
    return re.compile(any_of(names, *keys), re.IGNORECASE)
