"""Letters that open a line as a label ("B. Pancreas"), and what the line says of them."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from medxiaohe.scoring._choice_said import hedges, others
from medxiaohe.scoring._choice_words import CROSS, LABEL, QUESTION, TICK, Words, lower_words
from medxiaohe.scoring._languages import any_of, rules
from medxiaohe.scoring._options import LETTERS, openings, option_of
from medxiaohe.scoring._text import plain

TABLE_ROW = re.compile(r"^[ \t]*\|[ \t*(]*([A-Z])[ \t*).:]*\|[ \t]*(.*)$", re.MULTILINE)
CELL = 16  # letters of a cell of a table that is a verdict and nothing else


def labelled(text: str, texts: Sequence[str], letters: str, words: Words) -> Iterator[str]:
    """Find letters that open a line as a label ("B", "(b)", "B. Pancreas"), each checked against its text.

    Where one line only is marked as right ("✓", "correct"), it wins. A list that copies all options is no
    answer; its first or last line is one where it adds to the copy.

    Args:
        text: the final answer of a reply.
        texts: normalised texts of the options (`_text.plain`), in order; "" for one without words.
        letters: the letters that options have, "ABCD".
        words: patterns of the languages of the reply.

    Yields:
        Capital letters, several where the reply leaves several open.
    """
    # one letter and nothing else is the answer
    lone = _lone().fullmatch(text)
    bare = {lone[1] or lone[2]} if lone else set(re.findall(r"\w+", text))
    if (
        len(bare) == 1
        and len(word := bare.pop()) == 1
        and word.upper() in letters
        and not QUESTION.search(text)
    ):
        yield word.upper()
        return
    # one label a line: inline lists and rows of tables are split into lines
    body = re.sub(r"^answer\s*:\s*(?=\S)", "", text)
    body = re.sub(r"(?<=[.;])[ ]+(?=[A-Z][.:)]\s)", "\n", body)
    body = TABLE_ROW.sub(r"\1. \2", body)
    rows = [
        row for line in body.splitlines() if line.strip() and (row := label_of(line, texts, letters, words))
    ]
    # every option judged ("A ✗, B ✓"): the only right one
    marked = [row for row in rows if row[3]]
    right = {row[0] for row in marked if row[3] == "right"}
    if len(right) == 1 and len({row[0] for row in marked}) > 1:
        yield right.pop()
        return
    lines = [line for line in body.splitlines() if line.strip()]
    # options copied in their order are no answer; a first or last line beside the copy is
    labelled = [row[0] for row in rows]
    copied = labelled[: len(letters)] == list(letters[: len(labelled)]) and len(labelled) > 1
    if lines and rows and len(set(labelled)) > 1:
        first, last = label_of(lines[0], texts, letters, words), label_of(lines[-1], texts, letters, words)
        ends = [
            row
            for row, fits in (
                (first, not copied),
                (last, labelled[:-1] != list(letters[: len(labelled) - 1]) or len(labelled) > len(letters)),
            )
            if row and fits and row[2] in ("bare", "own")
        ]
        if (
            first
            and ends
            and ends[0] is first
            and first[2] == "bare"
            and not any(row[2] == "bare" for row in rows[1:-1])
        ):
            ends = [first, *[row for row in ends[1:] if row[2] == "bare"]]
        if ends:
            for row in ends:
                yield row[0]
            if first in ends:
                yield from hedges(first[1], first[0], letters, words)
            return
    # otherwise every label counts, and a text of another option makes two answers of it
    for letter, rest, state, mark in rows:
        if mark == "wrong":
            continue
        yield letter
        if state == "other":
            yield from filter(None, [option_of(rest.strip(), texts, letter)])
            yield from others(" , " + rest if rest else "", words)
        yield from hedges(rest, letter, letters, words)


@lru_cache(maxsize=1)
def _lone() -> re.Pattern[str]:
    """A letter beside the word for an option, and nothing else, in any language: "C번", "Letra C"."""
    noun = rf"(?i:{any_of(tuple(rules()), 'option', 'answer')})"
    return re.compile(rf"\W*(?:{noun}\W*([A-Z])|([A-Z])\W*{noun})\W*")


def label_of(line: str, texts: Sequence[str], letters: str, words: Words) -> tuple[str, str, str, str] | None:
    """Parse one line as a labelled option.

    Args:
        line: a line of a reply.
        texts: normalised texts of the options, in order.
        letters: the letters that options have.
        words: patterns of the languages of the reply.

    Returns:
        (letter, text behind it, "bare" | "own" | "other": no text, the text of this option, any other text,
        "right" | "wrong" | "": what the line says of the option), or None where it opens with no label.
    """
    if lead := re.match(rf"\W*(?i:{words.option.pattern})[\s*]*(?=[A-Z](?![^\W_]))", line):
        line = line[lead.end() :]
    # "C번 폐색전증": the word that counts options is no part of what the letter is
    line = re.sub(rf"^(\W*[A-Z])\s?{words.counter.pattern}(?=\s)", r"\1", line)
    match = LABEL.match(line)
    spaced = re.match(r"^\W*([A-Za-z])\s+(\w.*)$", line)
    if spaced and option_of(spaced[2], texts, spaced[1].upper()) == spaced[1].upper():
        match = spaced  # "B Pleural effusion"
    if not match or match[1].upper() not in letters:
        return None
    letter, rest = match[1].upper(), match[2]
    own = option_of(rest, texts, letter) == letter or option_of(rest.strip("()"), texts, letter) == letter
    if not own and match[1].islower() and plain(rest):
        return None
    state = "own" if own else "other" if re.search(r"\w", rest) else "bare"
    mark = _mark(rest, texts, letter, own, words)
    if lead and state != "bare" and not mark and plain(rest) != texts[LETTERS.index(letter)]:
        return None  # "option A: pneumonia would show a consolidation"
    return letter, rest, state, mark


def _mark(rest: str, texts: Sequence[str], letter: str, own: bool, words: Words) -> str:
    """Whether what follows a label calls it right or wrong, at its beginning or at its end."""
    remark = rest
    if own and (
        stops := [stop for stop, opening in openings(rest, texts) if opening == texts[LETTERS.index(letter)]]
    ):
        remark = rest[max(stops) :]
    low = lower_words(remark).lower()
    head = re.sub(r"^[^\w✓✔✅☑✗✘❌✖☒×○〇⭕]+", "", low)
    for mark, pattern in (("wrong", words.wrong_mark), ("right", words.right_mark)):
        if pattern.match(head) or re.search(rf"[{CROSS if mark == 'wrong' else TICK}]", low):
            return mark
    cells = [cell.strip(" *.") for cell in re.split(r"\||→|⇒|=>", low)[0 if "|" in low else 1 :]]
    for mark, pattern in (("wrong", words.wrong_mark), ("right", words.right_mark)):
        if any(len(cell) <= CELL and pattern.match(cell) for cell in cells):
            return mark
    link = re.match(r"^(?:is|está|es|est|ist|é|this is|isso é|は|은|는)\s+", head)
    if link:
        for mark, pattern in (("wrong", words.wrong_mark), ("right", words.right_mark)):
            if pattern.match(head[link.end() :]):
                return mark
    return ""
