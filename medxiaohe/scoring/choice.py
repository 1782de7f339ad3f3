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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from medxiaohe.scoring import yes_no
from medxiaohe.scoring._answer import final
from medxiaohe.scoring._languages import any_of, spoken
from medxiaohe.scoring._options import (
    LETTERS,
    SENTENCE,
    WORDS_OF_SHORT,
    WORDS_OF_VALUE,
    asserted,
    named,
    openings,
    option_of,
)  # fmt: skip
from medxiaohe.scoring._text import plain, verdict
from medxiaohe.types import Message, Sample, Score, Trace

__all__ = ["LETTERS", "MARKERS", "choice", "letter_of", "parse"]

ROMAN = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV".split()
MARKERS = ("letters", "digits", "roman")

NEAR = 300  # characters around a letter that say how it is meant
GAP = 60  # characters between "the answer" and "is": "to this question about the kidney"
END = r"(?![A-Za-z0-9'\u00c0-\u04ff])(?!-[A-Za-z0-9])"
OPEN = r"[\s(\[{\"'“”‘「『【〈<$\\:：]{0,8}"
OPEN_HERE = OPEN.replace(r"\s", r" \t")  # on the same line
LETTER = rf"{OPEN}([A-Z]){END}"
SMALL = rf"{OPEN}(?:([b-j])(?=[\s)\]\"'}}$]*(?:$|\n)|[.)\]](?:\s|$))|(?<=[(\[\"'])([a-j])(?=[)\]\"']))"
CLOSE = r"[\s)\]}\"'”’」』】〉>$.]*"
LABEL = re.compile(
    r"^[^\w\"'(（\[]*[\"'(\[]?([A-Za-z])[\"')\]]{0,2}(?:\s*[.):：,、。;\]]+\s*|\s+[-–—]\s*|[-–—]\s+|\s"
    r"+(?=\()|\s*$)(.*)$"
)
QUESTION = re.compile(r"^[\s)\]\"'*]*[?？]")
TICK, CROSS = "✓✔✅☑○〇⭕", "✗✘❌×✖☒"
YES_NO = {"yes", "no", "maybe"}


@dataclass(frozen=True)
class Words:
    """The patterns of the languages of one reply."""

    names: tuple[str, ...]
    announced: re.Pattern[str]
    right: re.Pattern[str]
    weak: re.Pattern[str]
    text: re.Pattern[str]
    retract: re.Pattern[str]
    denied_before: re.Pattern[str]
    denied_behind: re.Pattern[str]
    doubt: re.Pattern[str]
    suppose: re.Pattern[str]
    conclude: re.Pattern[str]
    another: re.Pattern[str]
    joined: re.Pattern[str]
    hedge: re.Pattern[str]
    after_letter: re.Pattern[str]
    every: re.Pattern[str]
    right_mark: re.Pattern[str]
    wrong_mark: re.Pattern[str]
    option: re.Pattern[str]
    condition: re.Pattern[str]
    not_but: re.Pattern[str]
    lesser: re.Pattern[str]
    of_name: re.Pattern[str]


def choice(sample: Sample, trace: Trace, *, markers: str = "letters") -> Score:
    """Return 1 for the letter of the target.

    `markers` is how the prompt names its options: "letters", "digits" or "roman".
    """
    return verdict("choice", parse(trace.answer, sample.choices, markers), letter_of(sample, markers), trace)


def letter_of(sample: Sample, markers: str = "letters") -> str:
    """Return the letter of the gold option, however the target names it ("B", " b. ", or "2" where the
    prompt has
    digits)."""
    target = sample.target.strip(" \t\r\n().:")
    if markers == "digits" and target.isdigit():
        return LETTERS[int(target) - 1]
    return (
        LETTERS[ROMAN.index(target.upper())]
        if markers == "roman" and target.upper() in ROMAN
        else target.upper()
    )


def parse(answer: str, choices: Sequence[str] = (), markers: str = "letters") -> str:
    """Return the one letter the answer commits to, or "".

    Args:
        answer: the whole reply, thinking included.
        choices: the texts of the options, in order; without them the letters A to E are read.
        markers: how the prompt names its options, see `choice`.
    """
    text = re.sub(r"\$\s*(?:\\\w+\s*)?\{?([A-Z])\}?\s*\$", r" \1 ", final(answer))
    text = re.sub(r"\n\s*\n", "\n\n", re.sub(r"[^\S\n]{3,}", "  ", _lettered(text, len(choices), markers)))
    texts = [plain(choice) for choice in choices]
    # an option "C" is named by its own letter
    texts = ["" if re.fullmatch("[a-z]", text) else text for text in texts]
    if letter := _whole_option(text, choices):
        return letter
    letter = _read(text, texts, LETTERS[: len(choices) or 5], words(spoken(text)))
    if not letter and set(filter(None, texts)) and set(texts) <= YES_NO:
        said = yes_no.parse(answer, maybe="maybe" in texts)
        return LETTERS[texts.index(said)] if said in texts else ""
    return letter


def _whole_option(text: str, choices: Sequence[str]) -> str:
    """The letter of the option whose words are the whole reply, whatever other options they list; or "".

    The letter may stand behind in brackets, if it is the same; a letter in front is left to other rules.
    """
    written = [_bare(choice) for choice in choices]
    for match in (re.fullmatch(r"(.+?)\s*\(([A-Z])\)[.\s]*", text.strip(), re.DOTALL), None):
        whole, letter = (match[1], match[2]) if match else (text, "")
        for words in (whole, re.sub(r"^\s*(?:It|This|That) (?:is|was) ", "", whole)):
            if len(bare := _bare(words)) > 1 and written.count(bare) == 1:
                stands_for = LETTERS[written.index(bare)]
                return stands_for if letter in ("", stands_for) else ""
    return ""


def _bare(text: str) -> str:
    return " ".join(text.split()).strip(" .。").casefold()


def _read(text: str, texts: Sequence[str], letters: str, words: Words) -> str:
    low = _lower_words(text)
    found = list(_announced(text, low, texts, letters, words))
    starts = [start for start, _ in found]
    if starts or low:
        taken_back = [
            m for m in words.retract.finditer(low) if _answered(text[: m.start()], starts, m.start(), letters)
        ]
        if taken_back:
            return (
                _read(text[taken_back[-1].end() :], texts, letters, words)
                if taken_back[-1].end() < len(text)
                else ""
            )
    tiers = (
        (letter for _, letter in found),
        _right(text, low, texts, letters, words),
        _weak(text, low, texts, letters, words),
        _texts(text, texts, words),
        _labels(text, texts, letters, words),
        _sentences(text, texts, words),
    )
    for tier in tiers:
        if said := set(tier):
            return said.pop() if len(said) == 1 and said <= set(letters) else ""
    return ""


def _answered(before: str, starts: Sequence[int], at: int, letters: str) -> bool:
    """Whether an answer stands before a place: an announced one, or a letter that opens the reply."""
    opened = re.match(rf"\W*([A-Z]){END}", before)
    return any(start <= at for start in starts) or bool(
        opened and opened[1] in letters and len(before) < NEAR
    )


@lru_cache(maxsize=128)
def words(names: tuple[str, ...]) -> Words:
    """Build the patterns of a reply in these languages. The text they read has its words in lower case,
    its lone
    letters as they are."""

    def of(*keys: str) -> str:
        return any_of(names, *keys)

    right = of("right", "qualifier")
    link = rf"(?:{of('link')}|[=＝→>])"
    prefix = (
        rf"(?:[\s\"'(\[“「『【]{{0,4}}(?:{of('article', 'option', 'right', 'qualifier', 'answer')})){{0,5}}"
    )
    nearby = prefix.replace(r"[\s", r"[ \t")
    mark = r"[:：=→\-–—]"
    noun = (
        rf"(?:(?:{right}\s*){{0,4}}{of('answer')}(?:\s*{right}|\s*\([^()\n]{{0,40}}\)){{0,4}}"
        rf"|(?:{right}\s*){{1,4}}{of('option', 'subject')}|{of('option')}(?:\s*{right}){{1,4}})"
    )
    here = rf"{OPEN_HERE}([A-Z]){END}"
    linked = rf"[\"'”」』】\]) \t]{{0,6}}(?:(?:{link}|{mark})[\"'” \t]{{0,4}}){{1,5}}"
    tail = rf"(?:[^.;:!?\n。；！？：]{{1,{GAP}}}?){of('link')}\s*{mark}?"
    chosen = rf"|(?<![A-Za-z0-9'\-])([A-Z])[\s)\]」』】\"'.]*(?:{of('option')})?\s*{of('chosen_after')}"
    heading = r"(?:^|\n)[ \t#*>\-【\[]{0,8}"
    announced = (
        rf"{noun}{linked}{prefix}(?:{LETTER}|{SMALL})"
        rf"|{noun}{tail}{nearby}{here}"
        rf"|{of('option')}[^.;:!?\n]{{1,40}}?{of('right')}[^.;:!?\n]{{0,{GAP}}}?{of('link')}{nearby}{here}"
        rf"|{of('right')}[^.;:!?\n]{{0,{GAP}}}?{of('link')}\s*(?:{of('article')}\s*)?{of('option')}{here}"
        rf"|{heading}{noun}[\s】\]:：]*\n[\s>#\-]*{prefix}{LETTER}"
        rf"|{noun}[\s】」』\]]{{0,4}}{prefix}{LETTER}(?=[\s)\]\"'.。]*(?:$|\n))"
        rf"|{of('option')}[\"'】\]]*\s*{mark}\s*{LETTER}|{of('option')}\s*{of('link')}\s*{nearby}"
        rf"{here}(?=[\s)\]\"']*(?:$|[.,;\n。，]))"
        rf"|{of('choose')}(?!项)[\"']*\s*{mark}?{nearby}(?:{here}|{SMALL}){chosen}"
        rf"|{of('right')}\s*(?:one|的|のは|것은)?\s*{of('link')}\s*{mark}?{nearby}{here}"
    )
    close = r"[\s)\]}\"'”」』】.]{0,6}"
    gap = r"(?:(?!(?<![^\W_])[A-Z](?![^\W_]))[^.;:!?\n])"  # what a letter is, without another letter
    called_right = (
        rf"(?<![A-Za-z0-9'\-])([A-Z])({close}(?:{of('option')})?|[).:]?\s+{gap}{{1,90}}?,?|,\s{gap}"
        rf"{{1,90}}?,|\s*\([^()\n]{{1,90}}\))"
        rf"\s*(?:{of('link')}\s*){{1,4}}(?:{of('article', 'therefore')}\s*|indeed\s|clearly\s|my\s"
        rf"|by far\s|,\s*){{0,4}}{of('right')}"
        rf"|(?<![A-Za-z0-9'\-])([A-Z]){close}(?:{of('option')})?\s*(?=[\u3040-\u"
        rf"ffff])(?:{of('link')}\s*){{0,3}}{of('right')}"
    )
    ends = r"(?=[\s)\]\"'”」』】]*(?:$|[.;:,\n，。；(]))"
    because = rf"(?=[\s)\]\"']*(?:$|[.;:,\n，。；(]|{of('after_letter')}))"
    weak = (
        rf"{of('therefore')}[\s,:，：]{{0,4}}(?:{of('it_is', 'think', 'link', 'therefore')}[\s"
        rf",:，]{{0,4}}){{0,4}}{prefix}{LETTER}{ends}"
        rf"|{of('think')}[\s,:]*(?:{of('it_is')}\s*)?{prefix}{LETTER}{because}"
        rf"|(?:^|[\n.;:,!?…。，；])[\s\"'(]{{0,6}}(?:{of('therefore', 'instead')}[\s"
        rf",]{{0,4}}){{0,4}}{of('it_is')}\s*{prefix}{LETTER}{because}"
        rf"|{of('remains')}\s*{prefix}{LETTER}{because}"
        rf"|(?:^|\n)[\s\"'(]*([A-Z])(?:{close},?\s*{of('not')}|\s+(?:because|since|weil|porque|car)\b)"
    )
    text = (
        rf"(?:{noun}|{of('subject')}(?:\s+(?:here|shown|for \w+ patient))?){linked}(?=([^\n]+))"
        rf"|^\W*{of('it_is', 'think', 'choose')}\s+(?=([^\n]+))|{of('therefore')},?\s*(?::|is|:)\s"
        rf"*(?=([^\n]+))"
    )
    joins = rf"(?:\s*(?:/|&|,|、|，|{of('or')}|{of('and')}))+"
    denied = of("not")
    return Words(
        names,
        re.compile(announced),
        re.compile(called_right),
        re.compile(weak),
        re.compile(text),
        re.compile(
            rf"(?:^|[.!?…,;:\n\-—–。，；！？])\s*(?:but |oh,? |hmm,? )?{of('retract', 'second_thought')}"
            rf"(?=\s*(?:$|[,.:;!?…\-—–。，；！？]|no\b|it\b|the\b))"
        ),
        re.compile(rf"{denied}\s*(?:{of('article', 'link', 'right', 'answer', 'option')}\s*|be\s*)*[\"'(]*$"),
        re.compile(
            rf"^[\s)\]」』】\"']*(?:{of('option')}\s*)?(?:(?:{of('link')}|appears|seems|looks|can|could"
            rf"|should|would|to|be)\s*)*,?\s*(?<!,\s)(?<!,){of('wrong')}"
        ),
        re.compile(rf"{of('doubt')}|{of('others')}"),
        re.compile(rf"^[\s\"']*{of('suppose')}[^.;]*$"),
        re.compile(rf"{of('therefore', 'instead')}|\b(?:but|since)\b"),
        re.compile(rf"^[\s)\].\"']*?{joins}[\s(\[]*(?:{of('option', 'article')}\s*)?([A-Z]){END}"),
        re.compile(rf"(?<![A-Za-z0-9'\-])([A-Z])\)?\s*(?:/|&|、|{of('or')}|{of('and')})\s*\(?$"),
        re.compile(
            rf"{of('hedge_before')}[\s,]*(?:{of('it_is', 'article', 'option')}\s*|also\s+)*[\s(\["
            rf"]*([A-Z]){END}"
            rf"|(?<![A-Za-z0-9'\-(])\(?([A-Z])\)?\s*(?:{of('option')}\s*)?{of('hedge_after')}"
        ),
        re.compile(rf"^\s*{of('after_letter')}"),
        re.compile(rf"{of('every')}\s*(?:{of('article')}\s*)?$"),
        re.compile(rf"{of('right_mark')}|[{TICK}]"),
        re.compile(rf"{of('wrong_mark', 'not')}|[{CROSS}]"),
        re.compile(of("option")),
        re.compile(rf"^[\s)\]\"']*{of('condition')}"),
        re.compile(
            rf"{of('not')}\s+\(?[A-Z]\)?,?\s+(?:but|mas|sino|mais|sondern)\s+(?:rather\s+)?{prefix}{LETTER}"
            rf"|[;,.]\s*(?:but |und |and )?([A-Z])\s+(?:is|es|é|est|ist)\s*[.!]*$"
        ),
        re.compile(rf"{of('lesser')}\s*(?:{right}\s*)*$"),
        re.compile(rf"{of('names')}\s*$"),
    )


def _lettered(text: str, count: int, markers: str) -> str:
    """The text with its digits or Roman numerals as letters, where the prompt names its options so."""
    if markers == "letters":
        return text
    names = [str(i + 1) for i in range(count)] if markers == "digits" else ROMAN[:count]
    one = "|".join(sorted(names, key=len, reverse=True))
    pattern = (
        rf"(?<![\w.,/\-])({one})(?=\s*(?:$|[.):,;\]\n\"'、。"
        r"](?!\d)|\s+(?:or|and|is|because|since)\b|或|和|项|选|\s\([A-Za-z]))"
    )
    return re.sub(pattern, lambda m: LETTERS[names.index(m[1])], text)


def _lower_words(text: str) -> str:
    """The words of a text in lower case; capital letters that stand alone keep theirs. Of the same length."""

    def lower(match: re.Match[str]) -> str:
        low = match[0].lower()
        return low if len(low) == len(match[0]) else match[0]

    return re.sub(r"[^\W\d_\u3000-\uffff]{2,}|\bI\b(?= \w{2}|')", lower, text)


def _announced(
    text: str, low: str, texts: Sequence[str], letters: str, words: Words
) -> Iterator[tuple[int, str]]:
    """Letters said to be the answer, each with the end of its announcement: "the answer is (B)", "I
    choose B"."""
    for match in words.announced.finditer(low):
        if words.every.search(low[max(0, match.start() - NEAR) : match.start()]) and words.option.match(
            low, match.start()
        ):
            continue
        for letter in _committed(match, text, low, texts, letters, words):
            yield match.end(), letter


def _committed(
    match: re.Match[str], text: str, low: str, texts: Sequence[str], letters: str, words: Words
) -> Iterator[str]:
    """The letters that an announcement gives and does not take back, with those it leaves open beside
    them."""
    group = next(i for i, one in enumerate(match.groups(), 1) if one)
    letter, end = match[group].upper(), match.end(group)
    near = max(NEAR, 2 * max(map(len, texts), default=0))
    before, rest = text[max(0, match.start() - NEAR) : match.start()], text[end : end + near]
    if letter not in letters and not re.match(r"\W*(?:$|\n)", rest):
        return
    if _listed(low[match.start() : match.start(group)], letter, rest, text[end:]) or QUESTION.match(rest):
        return
    beside = option_of(re.sub(r"^[\s.):：\]\-–—\"'」』】>]+", "", rest), texts, letter)
    if beside != letter and words.denied_behind.match(_lower_words(rest)):
        return
    if (
        letter == "A"
        and len(texts) > 2
        and len(named(rest.split("\n")[0], texts, words.names)) >= len(texts) - 1
    ):
        return  # all options copied behind a heading
    if words.condition.match(_lower_words(rest)):
        return  # "it would be B if the angle were blunted"
    said = _lower_words(before) + low[match.start() : match.start(group)]
    if words.lesser.search(_lower_words(before)):
        return  # "my second choice would be C"
    if words.denied_before.search(_lower_words(before)) or _denied(said, words):
        return
    if not beside and (spelt := option_of(letter + rest, texts)):
        yield spelt  # "the answer is E. coli"
    elif beside == letter or not _article(
        match[group], low[match.start() : match.start(group)], rest, texts, words
    ):
        yield from (letter, *filter(None, [beside]), *words.joined.findall(before[-12:]))
        if beside != letter:
            yield from _others(rest, words)
        yield from _hedges(rest.split("\n")[0], letter, letters, words)


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
    middle of a sentence, where what follows names no other option.
    """
    if letter.upper() != "A" or not re.match(r"[ ][^\W_]", rest):
        return False
    if words.after_letter.match(_lower_words(rest)):
        return False
    return True


def _denied(before: str, words: Words) -> bool:
    """Whether the clause before a letter takes it back: "it is unlikely that the", "if it were the
    liver, the"."""
    sentence = re.split(r"[.!?;\n。！？；]", before)[-1]
    clause = re.split(r"[,，:：]|\b(?:but|so|therefore|thus|hence)\b", sentence)
    last = next((part for part in reversed(clause) if part.strip()), "")
    return bool(words.doubt.search(last) or words.suppose.match(words.conclude.split(sentence)[-1]))


def _others(rest: str, words: Words) -> Iterator[str]:
    """More letters joined to one by a comma, "or", "and": "B or C", "B, C"."""
    while match := words.another.match(_lower_words(rest)):
        comma = not re.search(r"[^\W_]|[/&、]", rest[: match.start(1)])
        rest = rest[match.end() :]
        listed = re.match(r"[\s)\]\"']*(?:$|[.,;/&、，\n)。])|\s*(?:or|and|ou|oder|et|o|y|e|und)\b", rest)
        if comma and not listed:
            return  # a clause: "B, A being too rare"
        if match[1] == "A" and re.match(r" [a-z0-9]", rest) and not words.after_letter.match(rest):
            return  # an article: "B, A rare tumour"
        if match[1] == "I" and re.match(r" [a-z]{2}|'", rest):
            return  # the speaker: "B.\n\nI hope that this helps"
        if words.denied_behind.match(_lower_words(rest)):
            return
        yield match[1]


def _hedges(rest: str, letter: str, letters: str, words: Words) -> Iterator[str]:
    """Other letters that what follows leaves open: "B, but C is also possible"."""
    low = _lower_words(rest)
    for match in words.hedge.finditer(low):
        other = next(group for group in match.groups() if group)
        article = other == "A" and re.match(
            r" (?!is\b|are\b|could\b|may\b|might\b|also\b)[a-z]", rest[match.end(match.lastindex or 0) :]
        )
        if other != letter and other in letters and not article:
            yield other


def _right(text: str, low: str, texts: Sequence[str], letters: str, words: Words) -> Iterator[str]:
    """Letters that are called right: "B is the correct one", "option A, social stressors, is the most
    likely"."""
    for match in words.right.finditer(low):
        group = next(i for i in (1, 3) if match[i])
        letter, gap = match[group], match[2] or ""
        before = _lower_words(text[max(0, match.start() - NEAR) : match.start()])
        if letter not in letters or words.denied_before.search(before) or _denied(before, words):
            continue
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
        yield from _hedges(text[match.end() :].split("\n")[0], letter, letters, words)


def _weak(text: str, low: str, texts: Sequence[str], letters: str, words: Words) -> list[str]:
    """Letters of a conclusion that no noun announces: "therefore B", "that leaves B", "I think B"."""
    found: list[str] = []
    for match in words.weak.finditer(low):
        found += _committed(match, text, low, texts, letters, words)
    return found + ["".join(filter(None, match.groups())) for match in words.not_but.finditer(low)]


def _labels(text: str, texts: Sequence[str], letters: str, words: Words) -> Iterator[str]:
    """Letters that open a line as a label ("B", "(b)", "B. Pancreas"), each checked against the text
    beside it."""
    bare = set(re.findall(r"\w+", text))
    if (
        len(bare) == 1
        and len(word := bare.pop()) == 1
        and word.upper() in letters
        and not QUESTION.search(text)
    ):
        yield word.upper()
        return
    body = re.sub(r"^answer\s*:\s*(?=\S)", "", text)
    body = re.sub(r"(?<=[.;])[ ]+(?=[A-Z][.:)]\s)", "\n", body)
    rows = [
        row for line in body.splitlines() if line.strip() and (row := _label(line, texts, letters, words))
    ]
    marked = [row for row in rows if row[3]]
    right = {row[0] for row in marked if row[3] == "right"}
    if len(right) == 1 and len({row[0] for row in marked}) > 1:
        yield right.pop()
        return
    lines = [line for line in body.splitlines() if line.strip()]
    labelled = [row[0] for row in rows]
    copied = labelled[: len(letters)] == list(letters[: len(labelled)]) and len(labelled) > 1
    if lines and rows and len(set(labelled)) > 1:
        first, last = _label(lines[0], texts, letters, words), _label(lines[-1], texts, letters, words)
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
                yield from _hedges(first[1], first[0], letters, words)
            return
    for letter, rest, state, mark in rows:
        if mark == "wrong":
            continue
        yield letter
        if state == "other":
            yield from filter(None, [option_of(rest.strip(), texts, letter)])
            yield from _others(" , " + rest if rest else "", words)
        yield from _hedges(rest, letter, letters, words)


def _label(line: str, texts: Sequence[str], letters: str, words: Words) -> tuple[str, str, str, str] | None:
    """The letter of a line, what follows it, whether that is nothing ("bare"), its "own" text or
    "other", and whether
    the line calls it "right" or "wrong"."""
    if lead := re.match(rf"\W*(?i:{words.option.pattern})[\s*]*(?=[A-Z](?![^\W_]))", line):
        line = line[lead.end() :]
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
    said = rest
    if own and (
        stops := [stop for stop, opening in openings(rest, texts) if opening == texts[LETTERS.index(letter)]]
    ):
        said = rest[max(stops) :]
    low = _lower_words(said).lower()
    head = re.sub(r"^[^\w✓✔✅☑✗✘❌✖☒×○〇⭕]+", "", low)
    for mark, pattern in (("wrong", words.wrong_mark), ("right", words.right_mark)):
        if pattern.match(head) or re.search(rf"[{CROSS if mark == 'wrong' else TICK}]", low):
            return mark
    link = re.match(r"^(?:is|está|es|est|ist|é|this is|isso é|は|은|는)\s+", head)
    if link:
        for mark, pattern in (("wrong", words.wrong_mark), ("right", words.right_mark)):
            if pattern.match(head[link.end() :]):
                return mark
    return ""


def _texts(text: str, texts: Sequence[str], words: Words) -> Iterator[str]:
    """Options whose text is the answer: all of it, what is announced, or its opening before any other
    option."""
    options = [(letter, option) for letter, option in zip(LETTERS, texts, strict=False) if option]
    if (ends := re.match(r"(.*?)\s*[(\[]([A-Z])[)\]]\W*$", text)) and (ends[2], plain(ends[1])) in options:
        yield ends[2]
    low = _lower_words(text)
    announced = [
        (match.start(i), text[match.start(i) : match.end(i)])
        for match in words.text.finditer(low.lower() if low.isupper() else low)
        for i in range(1, 1 + words.text.groups)
        if match[i] and not _denied(low[max(0, match.start() - NEAR) : match.start()] + "x", words)
    ]
    yield from _labelled_text(text, low, texts, words)
    for at, said in [(0, text), *announced]:
        label = re.match(r"\W*[Aa]\s*[.):]", said)  # "A. Pneumothorax" is a label, not an article
        for stop, opening in openings(said, texts):
            for letter, option in options:
                behind = text[at + stop :]
                if (
                    opening == option
                    and not (label and letter != "A")
                    and not _named_later(behind, option, [o for _, o in options])
                    and not words.denied_behind.match(_lower_words(behind))
                    and not QUESTION.match(behind)
                ):
                    yield letter


def _labelled_text(text: str, low: str, texts: Sequence[str], words: Words) -> Iterator[str]:
    """A label with its own text behind a verb: "the treatment for this patient is B. Corticosteroids"."""
    for match in re.finditer(r"(?<=\w)[\s:\"']+\(?([A-Z])[.):]\s+(?=([^\n]+))", text):
        link = re.search(
            r"(?:\b(?:is|are|be|was)|é|es|est|ist|是|为|は|은|는)\s*[:\"']*$", low[: match.start() + 1]
        )
        before = low[max(0, match.start() - NEAR) : match.start()]
        if link and option_of(match[2], texts, match[1]) == match[1] and not _denied(before + " x", words):
            yield match[1]


def _named_later(rest: str, option: str, options: Sequence[str]) -> bool:
    """Whether what follows names another option without denying it."""
    words = f" {plain(rest)} "
    for other in options:
        for match in (
            re.finditer(rf"(?<=\s){re.escape(other)}(?=\s)", words)
            if other != option and other not in option
            else ()
        ):
            if not re.search(
                r"\b(?:not|no|than|of|unlike|without|excludes?|against)(?: (?:a|an|the))? $",
                words[: match.start()],
            ):
                return True
    return False


def _sentences(text: str, texts: Sequence[str], words: Words) -> list[str]:
    """The option that a short reply, an announced answer or a conclusion gives by its words."""
    if not any(texts):
        return []
    value = re.match(r"answer\s*:\s*(.*)", text, re.DOTALL)
    body = value[1] if value else text
    found = named(body, texts, words.names)
    label = LABEL.match(body.split("\n")[0]) if texts else None
    if label and found and label[1].upper() in LETTERS[: len(texts)] and label[1].upper() not in found:
        return []  # "b. pneumonia": the letter of one option, the text of another
    if (
        value
        and len(plain(body).split()) <= WORDS_OF_VALUE
        and "\n" not in body.strip()
        and len(found) == 1
        and all(found.values())
    ):
        letter = next(iter(found))
        if (
            not words.suppose.search(body.lower())
            and "?" not in body
            and not _uncertain(words.names).search(body.lower())
        ):
            return [letter]
    sentences = [one for one in SENTENCE.split(body) if plain(one)]
    short = len(plain(body).split()) <= WORDS_OF_SHORT and len(sentences) <= 2
    if short:
        said = [
            letter
            for one in sentences
            if (letter := asserted(one, texts, words.names, freely=len(found) == 1))
        ]
        return said if sum(found.values()) == 1 else []
    first = option_of(sentences[0], texts) if sentences else ""
    for one in reversed(sentences[-2:]):
        if letter := asserted(one, texts, words.names):
            return [letter, *filter(None, [first])]
    return []


@lru_cache(maxsize=128)
def _uncertain(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(any_of(names, "uncertain", "or", "doubt"), re.IGNORECASE)


EXAMPLE = Sample(
    "choice/example",
    (
        Message("user", ("Which organ makes insulin?\nA. Liver\nB. Pancreas\nAnswer with the letter.",)),
        Message("assistant", ("B",)),
    ),
    target="B",
    choices=("Liver", "Pancreas"),
)
