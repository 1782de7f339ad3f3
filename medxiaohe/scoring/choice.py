"""Multiple choice: the letter, or the words of one option. Two letters, or none, is no answer; nothing is
guessed.

A letter counts where the reply says that it is the answer, where it opens a line as a label, or where it
stands alone;
never "A chest X-ray", and never "option A" where that is only mentioned. A letter beside the text of
another option
contradicts itself and is no answer. What is read, in this order: what is announced ("the answer is B"),
what is called
right ("B is correct"), what is concluded ("that leaves B"), the text of one option, labels, and a last
sentence that
gives one option by its words. The words of each language are in `languages/`.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from medxiaohe.scoring import yes_no
from medxiaohe.scoring._answer import final
from medxiaohe.scoring._choice_labels import labelled
from medxiaohe.scoring._choice_numbers import lettered
from medxiaohe.scoring._choice_said import announced, called_right, concluded
from medxiaohe.scoring._choice_texts import options_by_text, options_of_sentences, whole_option
from medxiaohe.scoring._choice_words import END, NEAR, Words, lower_words, words
from medxiaohe.scoring._languages import any_of, spoken
from medxiaohe.scoring._options import LETTERS
from medxiaohe.scoring._text import plain, verdict
from medxiaohe.types import Message, Sample, Score, Trace

__all__ = ["LETTERS", "MARKERS", "choice", "letter_of", "parse"]

ROMAN = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV".split()
MARKERS = ("letters", "digits", "roman")
YES_NO = {"yes", "no", "maybe"}


def choice(sample: Sample, trace: Trace, *, markers: str = "letters") -> Score:
    """Accuracy of multiple choice: 1 for the letter of the target.

    `markers` is how the prompt names its options: "letters", "digits" or "roman".

    Args:
        sample: its choices are the options, its target the letter of the gold one.
        trace: its answer is scored.
        markers: how the prompt names its options.

    Returns:
        1 or 0; `unparsed` or `refused` without one clear letter
    """
    return verdict("choice", parse(trace.answer, sample.choices, markers), letter_of(sample, markers), trace)


def letter_of(sample: Sample, markers: str = "letters") -> str:
    """Return the letter of the gold option, however the target names it ("B", " b. ", or "2" where the
    prompt has
    digits).

    Args:
        sample: with choices and a target.
        markers: letters, digits or roman.

    Returns:
        a capital letter
    """
    target = sample.target.strip(" \t\r\n().:")
    if markers == "digits" and target.isdigit():
        return LETTERS[int(target) - 1]
    return (
        LETTERS[ROMAN.index(target.upper())]
        if markers == "roman" and target.upper() in ROMAN
        else target.upper()
    )


def parse(answer: str, choices: Sequence[str] = (), markers: str = "letters") -> str:
    """Parse the one letter that an answer commits to.

    Args:
        answer: the whole reply, thinking included.
        choices: the texts of the options, in order; without them the letters A to E are read.
        markers: how the prompt names its options, see `choice`.
    """
    return _parse(answer, tuple(choices), markers)


@lru_cache(maxsize=256)  # scorers, the safety gate and its rules read the same reply one after another
def _parse(answer: str, choices: tuple[str, ...], markers: str) -> str:
    text = re.sub(r"\$\s*(?:\\\w+\s*)?\{?([A-Z])\}?\s*\$", r" \1 ", final(answer))
    text = re.sub(r"\n\s*\n", "\n\n", re.sub(r"[^\S\n]{3,}", "  ", _lettered(text, len(choices), markers)))
    texts = [plain(choice) for choice in choices]
    # an option "C" is named by its own letter
    texts = ["" if re.fullmatch("[a-z]", text) else text for text in texts]
    if letter := whole_option(text, choices):
        return letter
    names = spoken(text)
    letters = LETTERS[: len(choices) or 5]
    by_place = lettered(text, len(letters), names) if markers == "letters" else text
    letter = _read(by_place, texts, letters, words(names))
    if not letter and by_place != text:
        letter = _read(text, texts, letters, words(names))  # the numbers were those of something else
    if not letter and set(filter(None, texts)) and set(texts) <= YES_NO:
        word = yes_no.parse(answer, maybe="maybe" in texts)
        return LETTERS[texts.index(word)] if word in texts else ""
    return letter


def _read(text: str, texts: Sequence[str], letters: str, words: Words) -> str:
    low = lower_words(text)
    announcements = list(announced(text, low, texts, letters, words))
    starts = [start for start, _ in announcements]
    # "wait, no": what follows the last retraction is read anew
    if starts or low:
        taken_back = [
            m for m in words.retract.finditer(low) if _answered(text[: m.start()], starts, m.start(), letters)
        ]
        if taken_back:
            rest = re.sub(
                rf"^[\s,.;:!…\-—]*{any_of(words.names, 'no')}[\s,.;:!]+", "", text[taken_back[-1].end() :]
            )
            return _read(rest, texts, letters, words) if rest.strip() else ""
    # rules from the clearest to the weakest; the first that finds anything decides
    tiers = (
        (letter for _, letter in announcements),
        called_right(text, low, texts, letters, words),
        concluded(text, low, texts, letters, words),
        options_by_text(text, texts, words),
        labelled(text, texts, letters, words),
        options_of_sentences(text, texts, words),
    )
    for tier in tiers:
        if chosen := set(tier):
            return chosen.pop() if len(chosen) == 1 and chosen <= set(letters) else ""
    return ""


def _answered(before: str, starts: Sequence[int], at: int, letters: str) -> bool:
    """Whether an answer stands before a place: an announced one, or a letter that opens the reply."""
    opened = re.match(rf"\W*([A-Z]){END}", before)
    return any(start <= at for start in starts) or bool(
        opened and opened[1] in letters and len(before) < NEAR
    )


def _lettered(text: str, count: int, markers: str) -> str:
    """The text with its digits or Roman numerals as letters, where the prompt names its options so."""
    if markers == "letters":
        return text
    names = [str(i + 1) for i in range(count)] if markers == "digits" else ROMAN[:count]
    markers_pattern = "|".join(sorted(names, key=len, reverse=True))
    pattern = (
        rf"(?<![\w.,/\-])({markers_pattern})(?=\s*(?:$|[.):,;\]\n\"'、。"
        r"](?!\d)|\s+(?:or|and|is|because|since)\b|或|和|项|选|\s\([A-Za-z]))"
    )
    return re.sub(pattern, lambda m: LETTERS[names.index(m[1])], text)


EXAMPLE = Sample(
    "choice/example",
    (
        Message("user", ("Which organ makes insulin?\nA. Liver\nB. Pancreas\nAnswer with the letter.",)),
        Message("assistant", ("B",)),
    ),
    target="B",
    choices=("Liver", "Pancreas"),
)
