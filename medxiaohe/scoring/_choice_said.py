"""Letters that a reply says are its answer: announced, called right, or concluded, and not taken back.

An announcement is followed to what it leaves open ("B or C"), and dropped where its clause denies or
supposes it.
"""

import re
from collections.abc import Iterator, Sequence

from medxiaohe.scoring._choice_words import LABEL, NEAR, QUESTION, Words, lower_words
from medxiaohe.scoring._options import named, option_of

NO_ARTICLES = "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # kana, Han characters, Hangul


def announced(
    text: str, low: str, texts: Sequence[str], letters: str, words: Words
) -> Iterator[tuple[int, str]]:
    """Find letters that are announced as the answer: "the answer is (B)", "I choose B".

    Args:
        text: the final answer of a reply.
        low: the same by `lower_words`.
        texts: normalised texts of the options, in order.
        letters: the letters that options have.
        words: patterns of the languages of the reply.

    Yields:
        (offset in `text` behind the announcement, letter).
    """
    for match in words.announced.finditer(low):
        if words.every.search(low[max(0, match.start() - NEAR) : match.start()]) and words.option.match(
            low, match.start()
        ):
            continue
        for letter in _committed(match, text, low, texts, letters, words):
            yield match.end(), letter


def called_right(text: str, low: str, texts: Sequence[str], letters: str, words: Words) -> Iterator[str]:
    """Find letters that are called right: "B is the correct one", "option A, social stressors, is the most
    likely".

    Args:
        text: the final answer of a reply.
        low: the same by `lower_words`.
        texts: normalised texts of the options, in order.
        letters: the letters that options have.
        words: patterns of the languages of the reply.

    Yields:
        Letters, with those that the reply leaves open beside them.
    """
    for match in words.right.finditer(low):
        group = next(i for i in (1, 3, 4, 5) if match[i])
        letter, gap = match[group], match[2] or ""
        if group == 4 and words.doubt.search(match[0]):
            continue
        before = _without_denied_clause(
            lower_words(text[max(0, match.start() - NEAR) : match.start()]), words
        )
        if letter not in letters or words.denied_before.search(before) or denied(before, words):
            continue
        if words.denied_behind.match(low[match.end(group) :]):
            continue  # "A는 정답이 아닙니다"
        beside = (
            option_of(
                re.sub(r"^[\s.):\],(]+|[\s,)]+$", "", text[match.start(2) : match.end(2)]), texts, letter
            )
            if gap.strip()
            else ""
        )
        apposed = re.fullmatch(r"\s*,.*,|\s*\(.*\)", gap, re.DOTALL)
        if re.search(r"\w", gap) and beside != letter and not apposed and not words.option.search(gap):
            continue
        if words.of_name.search(before) or re.search(
            rf"{words.condition.pattern[1:]}", low[match.end() :].split(".")[0]
        ):
            continue  # "hepatitis B is the likeliest", "B would be correct if"
        if words.doubt.search(gap) or (beside and beside != letter):
            continue
        if (
            letter == "A"
            and re.match(r" [a-z]", text[match.end(group) :])
            and not (
                beside == letter
                or words.after_letter.match(low[match.end(group) :])
                or re.match(r"\s*$", gap)
            )
        ):
            continue
        yield from (letter, *words.joined.findall(text[max(0, match.start() - 12) : match.start()]))
        yield from hedges(text[match.end() :].split("\n")[0], letter, letters, words)


def _without_denied_clause(before: str, words: Words) -> str:
    """What stands before a letter, without a clause that is over and calls another letter wrong: "A is
    wrong, ".
    """
    clause = re.search(r"(?:^|[\s,.;:])([A-Z])\)?(?=\s)([^,.;:]*?),\s*$", before)
    return before[: clause.start(1)] if clause and words.denied_behind.match(clause[2]) else before


def concluded(text: str, low: str, texts: Sequence[str], letters: str, words: Words) -> list[str]:
    """Find letters of a conclusion that no noun announces: "therefore B", "that leaves B", "I think B".

    Args:
        text: the final answer of a reply.
        low: the same by `lower_words`.
        texts: normalised texts of the options, in order.
        letters: the letters that options have.
        words: patterns of the languages of the reply.

    Returns:
        Letters in order; behind them those of "not A but B".
    """
    results: list[str] = []
    for match in words.weak.finditer(low):
        results += _committed(match, text, low, texts, letters, words)
    return results + ["".join(filter(None, match.groups())) for match in words.not_but.finditer(low)]


def _committed(
    match: re.Match[str], text: str, low: str, texts: Sequence[str], letters: str, words: Words
) -> Iterator[str]:
    """The letters that an announcement gives and does not take back, with those it leaves open beside
    them."""
    group = next(i for i, value in enumerate(match.groups(), 1) if value)
    letter, end = match[group].upper(), match.end(group)
    # context of the letter: NEAR characters, more where options are long
    near = max(NEAR, 2 * max(map(len, texts), default=0))
    before, rest = text[max(0, match.start() - NEAR) : match.start()], text[end : end + near]
    if letter not in letters and not re.match(r"\W*(?:$|\n)", rest):
        return
    if _listed(low[match.start() : match.start(group)], letter, rest, text[end:]) or QUESTION.match(rest):
        return
    # the option that the text behind the letter names, if any
    beside = option_of(re.sub(r"^[\s.):：\]\-–—\"'」』】>]+", "", rest), texts, letter)
    if beside != letter and words.denied_behind.match(lower_words(rest)):
        return
    if (
        letter == "A"
        and len(texts) > 2
        and len(named(rest.split("\n")[0], texts, words.names)) >= len(texts) - 1
    ):
        return  # all options copied behind a heading
    if words.condition.match(lower_words(rest)):
        return  # "it would be B if the angle were blunted"
    statement = lower_words(before) + low[match.start() : match.start(group)]
    if words.lesser.search(lower_words(before)):
        return  # "my second choice would be C"
    if words.denied_before.search(lower_words(before)) or denied(statement, words):
        return
    if not beside and (spelt := option_of(letter + rest, texts)):
        yield spelt  # "the answer is E. coli"
    elif beside == letter or not _article(
        match[group], low[match.start() : match.start(group)], rest, texts, words
    ):
        yield from (letter, *filter(None, [beside]), *words.joined.findall(before[-12:]))
        if beside != letter:
            yield from others(rest, words)
        yield from hedges(rest.split("\n")[0], letter, letters, words)


def _listed(announcement: str, letter: str, rest: str, behind: str) -> bool:
    """Whether a letter on the line below its announcement is the first of a list of options, or a word."""
    if "\n" not in announcement:
        return False
    if not re.match(r"[\s\"']*[.):：\])、。]|\s*[-–—]\s|\s*(?:$|\n)", rest):
        return True
    following = [
        label[1].upper()
        for line in behind.splitlines()
        if (label := LABEL.match(line)) and label[1].isupper()
    ]
    return letter == "A" and following[:2] in (["B", "C"], ["B"])


def _article(letter: str, announcement: str, rest: str, texts: Sequence[str], words: Words) -> bool:
    """Whether an "A" is the article: "answer: A chest X-ray", "the answer is a tumour".

    A word that no noun phrase begins with ("due", "because", "is") shows the letter, and so does a
    capital in the
    middle of a sentence, where what follows names no other option. No article stands before Hangul, kana or
    Han characters: "정답은 **A**입니다", whose marks are spaces here.
    """
    if letter.upper() != "A" or not re.match(rf"[ ](?!{NO_ARTICLES})[^\W_]", rest):
        return False
    if words.after_letter.match(lower_words(rest)):
        return False
    return True


def denied(before: str, words: Words) -> bool:
    """Detect a negated or supposed answer by the clause before a letter: "it is unlikely that the", "if it
    were the liver, the".

    Args:
        before: text that ends where the letter or its announcement begins, by `lower_words`.
        words: patterns of the languages of the reply.

    Returns:
        Whether that clause takes the letter back.
    """
    sentence = words.rather_than.split(re.split(r"[.!?;\n。！？；]", before)[-1])[-1]
    clause = re.split(r"[,，:：]|\b(?:but|so|therefore|thus|hence)\b", sentence)
    last = next((piece for piece in reversed(clause) if piece.strip()), "")
    if len(clause) > 1 and words.claimed.search(clause[-2]):
        return True  # "viele würden sagen, die Antwort ist A"
    return bool(words.doubt.search(last) or words.suppose.match(words.conclude.split(sentence)[-1]))


def others(rest: str, words: Words) -> Iterator[str]:
    """Find further letters that are joined to a letter by a comma, "or", "and": "B or C", "B, C".

    Args:
        rest: text behind the letter.
        words: patterns of the languages of the reply.

    Yields:
        Capital letters in order; none behind an article, the pronoun "I" or a denial.
    """
    while match := words.another.match(lower_words(rest)):
        comma = not re.search(r"[^\W_]|[/&、]", rest[: match.start(1)])
        rest = rest[match.end() :]
        listed = re.match(
            r"[\s)\]\"']*(?:$|모두|둘|중|[.,;/&、，\n)。])|\s*(?:or|and|ou|oder|et|o|y|e|und)\b", rest
        )
        if comma and not listed:
            return  # a clause: "B, A being too rare"
        if match[1] == "A" and re.match(r" [a-z0-9]", rest) and not words.after_letter.match(rest):
            return  # an article: "B, A rare tumour"
        if match[1] == "I" and re.match(r" [a-z]{2}|'", rest):
            return  # the speaker: "B.\n\nI hope that this helps"
        if words.denied_behind.match(lower_words(rest)):
            return
        yield match[1]


def hedges(rest: str, letter: str, letters: str, words: Words) -> Iterator[str]:
    """Find other letters that the text behind a letter leaves open: "B, but C is also possible".

    Args:
        rest: text behind the letter.
        letter: the letter.
        letters: the letters that options have.
        words: patterns of the languages of the reply.

    Yields:
        Letters other than `letter`.
    """
    low = lower_words(rest)
    for match in words.hedge.finditer(low):
        candidate = next(group for group in match.groups() if group)
        article = candidate == "A" and re.match(
            r" (?!is\b|are\b|could\b|may\b|might\b|also\b)[a-z]", rest[match.end(match.lastindex or 0) :]
        )
        if candidate != letter and candidate in letters and not article:
            yield candidate
