"""Tell contrasts from copies: of two nearly identical texts with another side, number, dose, drug, denial or
answer, the second is no duplicate, but the row that teaches the difference.

    differ("... 2.5 mg a week ...", "... 25 mg a week ...")      -> "numbers"
"""

from __future__ import annotations

import re
from collections import Counter

from medxiaohe.data.duplicates import overlap
from medxiaohe.types import Sample

FEW = 8  # words that one text has more: with more of them it is another version, not a contrast
SIDES = frozenset(
    """left right bilateral unilateral both anterior posterior upper lower proximal distal medial lateral
    superior inferior male female man woman boy girl he she his her 左 右 双 男 女 上 下""".split()
)
DENIALS = frozenset(
    """no not never without denies denied absent negative positive none neither nor cannot isn aren wasn
    weren doesn don didn hasn haven hadn present increased decreased elevated reduced high low higher
    lower normal abnormal acute chronic allergic pregnant before after increase decrease 无 未 不 没 非 否 阴
    阳 有""".split()
)
DRUG = re.compile(
    r".{2,}(?:cillin|mycin|micin|cycline|floxacin|oxacin|cef\w+|penem|azole|vir|pril|sartan|olol|dipine|statin"
    r"|gliptin|gliflozin|glutide|formin|parin|xaban|gatran|farin|caine|azepam|zolam|barbital|oxetine|pramine"
    r"|triptyline|idone|apine|azine|peridol|profen|fenac|coxib|sone|solone|onide|terol|tropium|lukast|thiazide"
    r"|semide|actone|mab|tinib|platin|taxel|rubicin|trexate|phosphamide|mustine|dronate|triptan|setron|prazole"
    r"|tidine|toin|zepine|amine|codone|morphone|orphine|fentanil|tanyl|curium|steride|zosin|afil|grel|fibrate"
    r"|ide|ine)$"
)
DRUGS = frozenset(
    """aspirin insulin heparin warfarin digoxin lithium iron potassium magnesium calcium sodium glucose
    oxygen acetaminophen paracetamol epinephrine norepinephrine dopamine vasopressin naloxone
    methadone ketamine propofol colchicine allopurinol methotrexate tamoxifen levothyroxine
    testosterone estrogen vancomycin linezolid""".split()
)


def contrast(first: Sample, second: Sample) -> str:
    """Name the difference that makes two similar rows no duplicates of each other.

    Args:
        first: a row.
        second: another row.

    Returns:
        "answers", or what `differ` says of their texts; "" for duplicates.
    """
    if _answers(first) != _answers(second):
        return "answers"
    return differ(first.text, second.text)


def differ(first: str, second: str) -> str:
    """Name the kind of words that tells two similar texts apart.

    Args:
        first: a text.
        second: another text.

    Returns:
        "numbers", "sides", "denials" or "drugs"; "" where these do not differ.
    """
    first_words, second_words = Counter(overlap.words(first)), Counter(overlap.words(second))
    only = (set((first_words - second_words).elements()), set((second_words - first_words).elements()))
    both = only[0] | only[1]
    # a contrast changes few words; with more it is another version, unless each side has a telling word
    few = sum((first_words - second_words).values()) + sum((second_words - first_words).values()) <= 2 * FEW
    if signs(first) != signs(second) and few:
        return "numbers"
    for name, telling in (
        ("numbers", _has_digit),
        ("sides", SIDES.__contains__),
        ("denials", DENIALS.__contains__),
    ):
        if any(map(telling, both)) and (few or all(any(map(telling, side)) for side in only)):
            return name
        # left effusion and a clear right lung, against the other way round: the same words in another order
        if first_words == second_words and list(filter(telling, overlap.words(first))) != list(
            filter(telling, overlap.words(second))
        ):
            return name
    # another drug on each side; a drug that only one text names may be more detail
    if all(any(map(is_drug, side)) for side in only):
        return "drugs"
    return ""


def is_drug(word: str) -> bool:
    """Recognise the name of a drug by a list of names and by stems of nonproprietary names.

    Args:
        word: in lower case.

    Returns:
        Whether it is in DRUGS, or has six letters or more and ends as a drug does.
    """
    return word in DRUGS or bool(len(word) >= 6 and DRUG.fullmatch(word))


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def signs(text: str) -> list[str]:
    """List comparisons and signs before numbers, and signs in brackets, which are no words: < 5, -2, (+).

    Returns:
        The signs in the order of the text.
    """
    return re.findall(r"[<>≤≥]=?(?=\s*\d)|(?<![\w)])[-−+](?=\d)|(?<=\()[-−+](?=\))", text)


def _answers(sample: Sample) -> tuple[str, str]:
    last = sample.messages[-1] if sample.messages else None
    answer = overlap.normal(last.text) if last is not None and last.role == "assistant" else ""
    return answer, overlap.normal(str(sample.target or ""))
