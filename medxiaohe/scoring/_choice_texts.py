"""Options that a reply names by their words: its opening, what it announces, a sentence that asserts one."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from medxiaohe.scoring._choice_said import denied
from medxiaohe.scoring._choice_words import LABEL, NEAR, QUESTION, Words, lower_words
from medxiaohe.scoring._languages import any_of
from medxiaohe.scoring._options import (
    LETTERS,
    SENTENCE,
    WORDS_OF_SHORT,
    WORDS_OF_VALUE,
    asserted,
    named,
    openings,
    option_of,
)
from medxiaohe.scoring._text import plain


def options_by_text(text: str, texts: Sequence[str], words: Words) -> Iterator[str]:
    """Find options whose text is the answer: all of the reply, what it announces, or its opening before any
    other option.

    Args:
        text: the final answer of a reply.
        texts: normalised texts of the options, in order; "" for one without words.
        words: patterns of the languages of the reply.

    Yields:
        Letters; denied options and questions are left out.
    """
    options = [(letter, option) for letter, option in zip(LETTERS, texts, strict=False) if option]
    if (ends := re.match(r"(.*?)\s*[(\[]([A-Z])[)\]]\W*$", text)) and (ends[2], plain(ends[1])) in options:
        yield ends[2]
    low = lower_words(text)
    announced = [
        (match.start(i), text[match.start(i) : match.end(i)])
        for match in words.text.finditer(low.lower() if low.isupper() else low)
        for i in range(1, 1 + words.text.groups)
        if match[i] and not denied(low[max(0, match.start() - NEAR) : match.start()] + "x", words)
    ]
    yield from _labelled_text(text, low, texts, words)
    for at, statement in [(0, text), *announced]:
        label = re.match(r"\W*[Aa]\s*[.):]", statement)  # "A. Pneumothorax" is a label, not an article
        for stop, opening in openings(statement, texts):
            for letter, option in options:
                behind = text[at + stop :]
                if (
                    opening == option
                    and not (label and letter != "A")
                    and not _named_later(behind, option, [o for _, o in options])
                    and not words.denied_behind.match(lower_words(behind))
                    and not QUESTION.match(behind)
                ):
                    yield letter


def options_of_sentences(text: str, texts: Sequence[str], words: Words) -> list[str]:
    """Find the option that a short reply, an announced answer or a conclusion names by its words.

    Args:
        text: the final answer of a reply.
        texts: normalised texts of the options, in order.
        words: patterns of the languages of the reply.

    Returns:
        Letters; more than one where sentences disagree, none where nothing is asserted.
    """
    if not any(texts):
        return []
    value = re.match(r"answer\s*:\s*(.*)", text, re.DOTALL)
    body = value[1] if value else text
    mentions = named(body, texts, words.names)
    label = LABEL.match(body.split("\n")[0]) if texts else None
    if label and mentions and label[1].upper() in LETTERS[: len(texts)] and label[1].upper() not in mentions:
        return []  # "b. pneumonia": the letter of one option, the text of another
    if (
        value
        and len(plain(body).split()) <= WORDS_OF_VALUE
        and "\n" not in body.strip()
        and len(mentions) == 1
        and all(mentions.values())
    ):
        letter = next(iter(mentions))
        if (
            not words.suppose.search(body.lower())
            and "?" not in body
            and not _uncertain(words.names).search(body.lower())
        ):
            return [letter]
    sentences = [sentence for sentence in SENTENCE.split(body) if plain(sentence)]
    short = len(plain(body).split()) <= WORDS_OF_SHORT and len(sentences) <= 2
    if short:
        answers = [
            letter
            for sentence in sentences
            if (letter := asserted(sentence, texts, words.names, freely=len(mentions) == 1))
        ]
        return answers if sum(mentions.values()) == 1 else []
    first = option_of(sentences[0], texts) if sentences else ""
    for sentence in reversed(sentences[-2:]):
        if letter := asserted(sentence, texts, words.names):
            return [letter, *filter(None, [first])]
    return []


def whole_option(text: str, choices: Sequence[str]) -> str:
    """Match a reply that is the text of one option and nothing else, whatever other options that text lists.

    The letter may follow in brackets, if it is the same; a letter in front is left to other rules.

    Args:
        text: the final answer of a reply.
        choices: texts of the options as the prompt writes them.

    Returns:
        The letter, or "" without an exact match with one option.
    """
    written = [_bare(choice) for choice in choices]
    for match in (re.fullmatch(r"(.+?)\s*\(([A-Z])\)[.\s]*", text.strip(), re.DOTALL), None):
        body, letter = (match[1], match[2]) if match else (text, "")
        for words in (body, re.sub(r"^\s*(?:It|This|That) (?:is|was) ", "", body)):
            if len(bare := _bare(words)) > 1 and written.count(bare) == 1:
                stands_for = LETTERS[written.index(bare)]
                return stands_for if letter in ("", stands_for) else ""
    return ""


def _labelled_text(text: str, low: str, texts: Sequence[str], words: Words) -> Iterator[str]:
    """A label with its own text behind a verb: "the treatment for this patient is B. Corticosteroids"."""
    for match in re.finditer(r"(?<=\w)[\s:\"']+\(?([A-Z])[.):]\s+(?=([^\n]+))", text):
        link = re.search(
            r"(?:\b(?:is|are|be|was)|é|es|est|ist|是|为|は|은|는)\s*[:\"']*$", low[: match.start() + 1]
        )
        before = low[max(0, match.start() - NEAR) : match.start()]
        if link and option_of(match[2], texts, match[1]) == match[1] and not denied(before + " x", words):
            yield match[1]


def _named_later(rest: str, option: str, options: Sequence[str]) -> bool:
    """Whether what follows names another option without denying it."""
    words = f" {plain(rest)} "
    for rival in options:
        for match in (
            re.finditer(rf"(?<=\s){re.escape(rival)}(?=\s)", words)
            if rival != option and rival not in option
            else ()
        ):
            if not re.search(
                r"\b(?:not|no|than|of|unlike|without|excludes?|against)(?: (?:a|an|the))? $",
                words[: match.start()],
            ):
                return True
    return False


def _bare(text: str) -> str:
    return " ".join(text.split()).strip(" .。").casefold()


@lru_cache(maxsize=128)
def _uncertain(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(any_of(names, "uncertain", "or", "doubt"), re.IGNORECASE)
