"""Match the words of options in a reply: its opening, a mention that is not denied, a sentence that asserts
one.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from medxiaohe.scoring._languages import any_of
from medxiaohe.scoring._text import plain

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CLAUSE = re.compile(r"[,;:!?。，；：！？]|\.(?=\s|$)|\s[-–—]\s|\n")
STOP = re.compile(
    r"[.;]?\n|[.;](?=\s)|[。；]|,(?= )|，|(?= (?:because|since)\b)|\s*\((?=[^)]*\)\W*$)|\s+\((?=[^)]*\)"
    r")|\s[-–—:]\s|:\s"
    r"|(?= (?:is|are|was|would be|should be)\b)"
    r"|(?=(?:です|である|だ|입니다|이다|이에요|예요)\s*(?:[。.]|$|\n))"
)
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
WORDS_OF_SHORT = 60  # a reply of so many words may name its option without announcing it
WORDS_OF_VALUE = 40  # of an announced answer that names one option among its words


def openings(text: str, texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Split the opening of a text at each place where it may stop naming an option.

    Args:
        text: a reply or a part of one.
        texts: normalised texts of the options.

    Yields:
        (offset of the stop, normalised text before it), up to twice the length of the longest option + 40.
    """
    limit = 2 * max(map(len, texts), default=0) + 40
    if len(text) <= limit:
        yield len(text), plain(text)
    for match in STOP.finditer(text[: limit + 20]):
        if match.start() <= limit:
            yield match.start(), plain(text[: match.start()])


def option_of(text: str, texts: Sequence[str], own: str = "") -> str:
    """Match the opening of a text, up to where a reason may begin, with one option.

    Args:
        text: a reply or a part of one.
        texts: normalised texts of the options, in order.
        own: letter that wins among options with the same text.

    Returns:
        The letter, or "" without a match.
    """
    best = ""
    for _, opening in openings(text, texts):
        matching = [
            letter for letter, option in zip(LETTERS, texts, strict=False) if option and opening == option
        ]
        if matching:
            best = own if own in matching else best or matching[0]
            if best == own:
                return own
    return best


def named(text: str, texts: Sequence[str], names: tuple[str, ...]) -> dict[str, bool]:
    """Find the options that a text names, clause by clause.

    A longer option hides the shorter one inside it, so "lateral pterygoid" does not name "pterygoid".

    Args:
        text: a reply or a part of one.
        texts: normalised texts of the options, in order.
        names: languages of the reply.

    Returns:
        Letter -> whether any mention of it is not denied.
    """
    mentions: dict[str, bool] = {}
    for clause in CLAUSE.split(text):
        if words := plain(clause):
            for letter, affirmed in _in_clause(words, texts, names):
                mentions[letter] = mentions.get(letter, False) or affirmed
    return mentions


def _in_clause(words: str, texts: Sequence[str], names: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    for i in order:
        if not texts[i] or not (pattern := _pattern(texts[i])).search(words):
            continue
        affirmed = any(
            not _denial(names).search(rather_than(names).split(words[: match.start()])[-1])
            and not _denial_behind(names).match(words[match.end() :])
            for match in pattern.finditer(words)
        )
        yield LETTERS[i], affirmed
        words = pattern.sub(" # ", words)


@lru_cache(maxsize=4096)
def _pattern(option: str) -> re.Pattern[str]:
    latin = re.match(r"[\u0000-\u2fff]*$", option)
    return re.compile(rf"(?<![^\W_]){re.escape(option)}(?![^\W_])" if latin else re.escape(option))


@lru_cache(maxsize=256)
def rather_than(names: tuple[str, ...]) -> re.Pattern[str]:
    """Compile the words that end a denied half of a clause: "not the liver but the pancreas".

    Args:
        names: languages of the reply.

    Returns:
        The pattern, cached.
    """
    return re.compile(any_of(names, "not_but"), re.IGNORECASE)


@lru_cache(maxsize=256)
def _denial(names: tuple[str, ...]) -> re.Pattern[str]:
    """A denial before a mention in its clause."""
    return re.compile(any_of(names, "not", "doubt", "none", "suppose", "others"), re.IGNORECASE)


@lru_cache(maxsize=256)
def _denial_behind(names: tuple[str, ...]) -> re.Pattern[str]:
    """A denial behind a mention in its clause: "pleural effusion can be excluded"."""
    words = any_of(names, "wrong", "doubt", "not", "uncertain")
    return re.compile(rf"(?=.*?{words})", re.IGNORECASE)


def asserted(sentence: str, texts: Sequence[str], names: tuple[str, ...], freely: bool = False) -> str:
    """Find the one option that a sentence gives as the answer.

    The sentence denies nothing about it and leaves nothing open; it calls the option the best, likeliest or
    right one.

    Args:
        sentence: of a reply.
        texts: normalised texts of the options, in order.
        names: languages of the reply.
        freely: accept as well a sentence that only begins or ends with the option.

    Returns:
        The letter, or "".
    """
    if cuts := list(rather_than(names).finditer(sentence)):
        if _denial(names).search(sentence[: cuts[-1].end()]):  # "not the liver but the pancreas"
            sentence, freely = sentence[cuts[-1].end() :], True
    mentions = named(sentence, texts, names)
    if len(mentions) != 1 or not all(mentions.values()) or sentence.rstrip().endswith(("?", "？")):
        return ""
    if _open(names).search(plain(sentence)):
        return ""
    letter = next(iter(mentions))
    if _praise(names).search(sentence.lower()):
        return letter
    words, option = plain(sentence), texts[LETTERS.index(letter)]
    if _mention(names).match(sentence.lower()):
        return ""  # "option A describes the liver"
    return letter if freely and (words.startswith(option) or words.endswith(option)) else ""


@lru_cache(maxsize=256)
def _open(names: tuple[str, ...]) -> re.Pattern[str]:
    """Words that keep a sentence from giving an answer: doubts, suppositions, alternatives."""
    return re.compile(any_of(names, "doubt", "others", "suppose", "uncertain", "none", "or"), re.IGNORECASE)


@lru_cache(maxsize=256)
def _mention(names: tuple[str, ...]) -> re.Pattern[str]:
    article, option = any_of(names, "article"), any_of(names, "option")
    return re.compile(rf"^\W*(?:l')?(?:{article}\s*)?{option}\s*[a-z](?![a-z])", re.IGNORECASE)


@lru_cache(maxsize=256)
def _praise(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(any_of(names, "right", "answer"), re.IGNORECASE)
