"""The patterns of a language by which a reply says that a letter is its answer, made of the words in
`languages/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from medxiaohe.scoring._languages import any_of

NEAR = 300  # characters around a letter that say how it is meant
GAP = 60  # characters between "the answer" and "is": "to this question about the kidney"
END = r"(?![A-Za-z0-9'\u00c0-\u04ff])(?!-[A-Za-z0-9])"
OPEN = r"[\s(\[{\"'“”‘「『【〈<$\\:：]{0,8}"
OPEN_HERE = OPEN.replace(r"\s", r" \t")  # on the same line
LETTER = rf"{OPEN}([A-Z]){END}"
SMALL = rf"{OPEN}(?:([b-j])(?=[\s)\]\"'}}$]*(?:$|\n)|[.)\]](?:\s|$))|(?<=[(\[\"'])([a-j])(?=[)\]\"']))"
TICK, CROSS = "✓✔✅☑○〇⭕", "✗✘❌×✖☒"
LABEL = re.compile(
    r"^[^\w\"'(（\[]*[\"'(\[]?([A-Za-z])[\"')\]]{0,2}(?:\s*[.):：,、。;\]]+\s*|\s+[-–—]\s*|[-–—]\s+|\s"
    rf"+(?=[({TICK}{CROSS}])|\s*$)(.*)$"
)
QUESTION = re.compile(r"^[\s)\]\"'*]*[?？]")


@lru_cache(maxsize=128)
def words(names: tuple[str, ...]) -> Words:
    """Compile the patterns of a reply in these languages.

    They read text by `lower_words`: words in lower case, lone letters unchanged.

    Args:
        names: languages by the name of their file, ("en", "pt"), as `spoken` returns them.

    Returns:
        The patterns; cached for each combination of languages.
    """

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
        rf"|{heading}{of('right')}\s*[:：]\s*{LETTER}(?=[\s)\]\"'.。*]*(?:$|\n))"
        rf"|{of('answer')}\s+([A-Z])\s+{of('link')}(?=\s*[.!]?\s*(?:$|\n))"  # "dass die Antwort D ist"
    )
    close = r"[\s)\]}\"'”」』】.]{0,6}"
    gap = r"(?:(?!(?<![^\W_])[A-Z](?![^\W_]))[^.;:!?\n])"  # what a letter is, without another letter
    called_right = (
        rf"(?<![A-Za-z0-9'\-])([A-Z])({close}(?:{of('option')})?|[).:]?\s+{gap}{{1,90}}?,?|,\s{gap}"
        rf"{{1,90}}?,|の{gap}{{1,60}}?|\s*\([^()\n]{{1,90}}\))"
        rf"\s*(?:{of('link')}\s*){{1,4}}(?:{of('article', 'therefore')}\s*|indeed\s|clearly\s|my\s"
        rf"|by far\s|,\s*){{0,4}}{of('right')}"
        rf"|(?<![A-Za-z0-9'\-])([A-Z]){close}(?:{of('option')})?\s*(?=[\u3040-\u"
        rf"ffff])(?:{of('link')}\s*){{0,3}}{of('right')}"
        rf"|{of('option')}\s+[\"'(]{{0,2}}([A-Z]){close}\s+{gap}{{1,90}}?,\s*{of('being')}\s*"
        rf"(?:{of('article')}\s*){{0,2}}{of('right')}"
        rf"|{of('therefore')},?\s+{of('link')}\s+(?:{of('article', 'option')}\s+){{0,2}}([A-Z])\s+"
        rf"(?:{of('article')}\s+)?{of('right')}"
    )
    ends = rf"(?=[\s)\]\"'”」』】]*(?:$|[.;:,\n，。；(]|{of('inverted')}))"
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
        rf"*(?=([^\n]+))|{of('right')}\s*(?:的是|のは|것은)\s*(?=([^\n]+))"
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
        re.compile(
            rf"(?:{denied}|{of('supposed')})\s*"
            rf"(?:{of('article', 'link', 'right', 'answer', 'option')}\s*|be\s*)*[\"'(]*$"
        ),
        re.compile(
            rf"^[\s)\]」』】\"']*(?:{of('option')}\s*)?(?:(?:{of('link')}|appears|seems|looks|can|could"
            rf"|should|would|to|be)\s*)*,?\s*(?<!,\s)(?<!,){of('wrong')}"
        ),
        re.compile(rf"{of('doubt')}|{of('others')}"),
        re.compile(rf"{of('others')}\W*$"),
        re.compile(rf"^[\s\"']*{of('suppose')}[^.;]*$"),
        re.compile(rf"{of('therefore', 'instead')}|\b(?:but|since)\b"),
        re.compile(rf"^[\s)\].\"']*?{joins}[\s(\[\"']*(?:{of('option', 'article')}\s*)?([A-Z]){END}"),
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
            rf"{of('not')}\s+(?:de\s+)?\(?[A-Z]\)?,?\s+{of('not_but')}\s+(?:de\s+)?{prefix}{LETTER}"
            rf"|[;,.]\s*(?:but |und |and )?([A-Z])\s+(?:is|es|é|est|ist)\s*[.!]*$"
        ),
        re.compile(rf"{of('lesser')}\s*(?:{right}\s*)*$"),
        re.compile(rf"{of('names')}\s*$"),
        re.compile(of("not_but")),
        re.compile(of("counter")),
    )


def lower_words(text: str) -> str:
    """Lower the case of words and keep lone capital letters, which may be options.

    Args:
        text: any text.

    Returns:
        A text of the same length, so that offsets agree.
    """

    def lower(match: re.Match[str]) -> str:
        low = match[0].lower()
        return low if len(low) == len(match[0]) else match[0]

    return re.sub(r"[^\W\d_\u3000-\uffff]{2,}|\bI\b(?= \w{2}|')", lower, text)


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
    claimed: re.Pattern[str]
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
    rather_than: re.Pattern[str]
    counter: re.Pattern[str]
