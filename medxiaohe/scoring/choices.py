"""Questions with several right options (CMB, CMExam style): the set of letters must be the gold set.

`choices` is 1 for exactly the gold set, `choices.f1` is the harmonic mean of precision and recall over the
letters. The target is the letters, "ABD". Letters joined by "or", a list with a negation in it, and all
options copied out without an announcement are no answer.
"""

import re
from collections.abc import Sequence

from medxiaohe.scoring._answer import final
from medxiaohe.scoring._choice_labels import label_of
from medxiaohe.scoring._choice_words import words
from medxiaohe.scoring._languages import spoken
from medxiaohe.scoring._options import LETTERS
from medxiaohe.scoring._text import missing, plain
from medxiaohe.types import Message, Sample, Score, Trace

ANNOUNCED = re.compile(
    r"(?:\b(?:correct |right |final |my )?(?:answers?|options?|choices?|letters?)\b|\bi"
    r" (?:choose|pick|select)\b|答案|应?选择?)"
    r"[\"']?\s*(?:\b(?:is|are|would be|should"
    r" be)\b|[:=]|应?该?(?:是|为))*\s*(?:\b(?:options?|choices?|letters?|both)\b\s*)?([^\n。；;]*)",
    re.IGNORECASE,
)
JOIN = r"(?:[^\S\n]|[,，、;/&+]|\band\b|和|与|及|以及)*"
LIST = re.compile(rf"^[\s(\[{{\"']*((?:[(\[\"']?[A-Z][)\]\"']?{JOIN})+)(?![A-Za-z'])(.*)$", re.DOTALL)
LABELS = re.compile(r"(?<![A-Za-z0-9'\-])[(\[]?([A-Z])(?:[)\]]|\s*[.:、])\s*")
EXPLAINS = re.compile(
    r"[.。;；]\s+(?=\S)|\n|[,，]?\s*(?:because|since|as they|which are|being|given|due to)\b|\s*\("
    r"[^()]*\b(?:excluded|wrong|incorrect|not)\b[^()]*\)\W*$"
    r"|\s*(?:均|都|全)?(?:为|是)?(?:正确|对|符合题意)"
    r"|\s*(?:are|is) (?:all )?(?:correct|right|true)\b|解析|因为",
    re.IGNORECASE,
)
BRACKETED = re.compile(r"(?<![A-Za-z])([A-Z])\s*[(（]([^()（）]{1,80})[)）]")
NEGATED = re.compile(
    r"\b(?:not|except|neither|nor|no|none|without|wrong|incorrect|false)\b|n't\b|不|除|非|错", re.IGNORECASE
)
DENIED = re.compile(r"(?:\bnot|\bnever|n't|不|别)\s*(?:the\s*)?$", re.IGNORECASE)
OPEN = re.compile(r"\b(?:or|either|maybe|possibly|perhaps|possible)\b|或|可能", re.IGNORECASE)


def choices(sample: Sample, trace: Trace) -> Score:
    """Exact set match: 1 where the answer is exactly the set of letters of the target.

    Args:
        sample: its target is the letters of the right options, "ABD".
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` without one clear set
    """
    chosen, gold = parse(trace.answer, sample.choices), _gold(sample)
    if not chosen:
        return missing("choices", trace, "no single clear set of options")
    return Score("choices", float(chosen == gold), parsed=chosen, why=f"said {chosen}, gold {gold}")


def f1(sample: Sample, trace: Trace) -> Score:
    """Set F1: harmonic mean of precision and recall over the letters.

    Args:
        sample: its target is the letters of the right options, "ABD".
        trace: its answer is scored.

    Returns:
        from 0 to 1; `unparsed` without one clear set
    """
    chosen, gold = parse(trace.answer, sample.choices), _gold(sample)
    if not chosen:
        return missing("choices.f1", trace, "no single clear set of options")
    common = len(set(chosen) & set(gold))
    return Score(
        "choices.f1",
        2 * common / (len(chosen) + len(gold)),
        parsed=chosen,
        why=f"{common} of {chosen} in the gold {gold}",
    )


def parse(answer: str, options: Sequence[str]) -> str:
    """Parse the letters that an answer commits to, in order ("ABD").

    Args:
        answer: text of a reply, its thinking included.
        options: the words of the options, in order.

    Returns:
        capital letters in alphabetical order, or ""
    """
    text, letters = final(answer), LETTERS[: len(options) or 5]
    text = BRACKETED.sub(lambda m: f"{m[1]}. {m[2]}" if _own(m[1], m[2], options) else m[0], text)
    if marked := _marked(text, options, letters):
        return marked
    announcements = [match for match in ANNOUNCED.finditer(text) if _about_options(match[1], options)]
    if announcements:
        sets = {
            "" if DENIED.search(text[: match.start()]) else _letters(match[1], options, letters)
            for match in announcements
        }
        return sets.pop() if len(sets) == 1 else ""
    copied = len(LABELS.findall(text)) >= len(options) and all(
        plain(option) in plain(text) for option in options
    )
    if copied:
        return ""
    head = re.sub(r"^\W*both\b", "", text, flags=re.IGNORECASE)
    return _letters(head, options, letters) or _lines(text, options, letters)


def _own(letter: str, content: str, options: Sequence[str]) -> bool:
    return letter in LETTERS[: len(options)] and plain(content) == plain(options[LETTERS.index(letter)])


def _marked(text: str, options: Sequence[str], letters: str) -> str:
    """The letters of a list that calls every option right or wrong: "A: True", "B: False"."""
    texts = [plain(option) for option in options]
    rows = [label_of(line, texts, letters, words(spoken(text))) for line in text.splitlines() if line.strip()]
    marks = {row[0]: row[3] for row in rows if row and row[3]}
    right = "".join(sorted(letter for letter, mark in marks.items() if mark == "right"))
    return right if len(marks) == len(letters) == len(options) and len(right) < len(letters) else ""


def _about_options(passage: str, options: Sequence[str]) -> bool:
    return bool(LIST.match(passage) or LABELS.match(passage) or _texts(passage, options))


def _letters(passage: str, options: Sequence[str], letters: str) -> str:
    """The letters of "A, C and D", "ACD" or "A. Liver, C. Spleen"; "" for anything left open or
    contradictory."""
    if not (match := LIST.match(passage)):
        return _texts(passage, options)
    behind = match[2].lstrip(" )]}\"'")
    single = LABELS.match(passage) and len(re.findall(r"[A-Z]", match[1])) == 1
    explained = None if single else EXPLAINS.match(behind)  # what follows is a reason, not a part of the list
    rest = "" if explained else behind.strip(" .。!)]}\"'")
    listed = re.findall(r"[A-Z]", re.sub(r"\band\b", "", match[1]))
    if LABELS.match(passage) and rest:
        return _labelled(passage, options, letters)
    opened = (
        OPEN.search(rest)
        or NEGATED.search(rest.split(".")[0])
        or (rest and re.match(r"[A-Za-z]", rest) and len(listed) == 1)
    )
    valid = listed and len(set(listed)) == len(listed) and set(listed) <= set(letters)
    return "" if opened or not valid else "".join(sorted(listed))


def _labelled(passage: str, options: Sequence[str], letters: str) -> str:
    marks = list(LABELS.finditer(passage))
    listed = []
    for mark, after in zip(marks, [*(m.start() for m in marks[1:]), len(passage)], strict=True):
        text = plain(re.sub(r"(?:\band\b|[,;、和])\s*$", "", passage[mark.end() : after].strip()))
        if mark[1] not in letters or (text and text != plain(options[LETTERS.index(mark[1])])):
            return ""
        listed.append(mark[1])
    return "".join(sorted(set(listed))) if len(set(listed)) == len(listed) else ""


def _texts(passage: str, options: Sequence[str]) -> str:
    """The letters of options named by nothing but their exact texts, a line or a comma apart."""
    named = {plain(option): letter for letter, option in zip(LETTERS, options, strict=False) if plain(option)}
    parts = [plain(piece) for piece in re.split(r"\n|[,;、，；]|\band\b|和", passage) if plain(piece)]
    matched = [named[piece] for piece in parts if piece in named]
    return "".join(sorted(set(matched))) if parts and len(matched) == len(parts) == len(set(matched)) else ""


def _lines(text: str, options: Sequence[str], letters: str) -> str:
    """Options copied one a line with their letters: an answer, unless it is all of them or a line says
    more."""
    lines = [line.strip(" -•") for line in text.splitlines() if line.strip()]
    labels = [_labelled(line, options, letters) if LABELS.match(line) else "" for line in lines]
    complete = all(len(label) == 1 for label in labels) and len(set(labels)) == len(labels) < len(options)
    return "".join(sorted(labels)) if labels and complete else ""


def _gold(sample: Sample) -> str:
    words = [word for word in re.findall(r"[A-Z]+", sample.target.upper()) if word != "AND"]
    return "".join(sorted(set("".join(words))))


EXAMPLE = Sample(
    "choices/example",
    (
        Message(
            "user",
            (
                (
                    "Which are paired organs?\nA. Kidney\nB. Liver\nC. Lung\nAnswer with the letters of all"
                    " that apply."
                ),
            ),
        ),
        Message("assistant", ("AC",)),
    ),
    target="AC",
    choices=("Kidney", "Liver", "Lung"),
)
