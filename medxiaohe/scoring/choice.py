"""Multiple choice: the letter, or the exact text of one option. Two letters, or none, is no answer; nothing is guessed."""

import re
from collections.abc import Iterator, Sequence

from medxiaohe.scoring._text import final, plain, verdict
from medxiaohe.types import Sample, Score, Trace

LETTERS = "ABCDEFGHIJ"
LETTER = r"[\s(\[\"'“]*([A-J])(?![A-Za-z0-9'])"
SAYS = r"(?:\b(?:answer|choice|option|i (?:would )?(?:choose|pick|select)|go(?:ing)? with)\b|答案|选项|选择|应选|选)"
LINK = (
    r"(?:\b(?:is|was|(?:(?:would|should|must) )?be|option|choice|letter|clearly|(?:most )?likely|probably)\b|[:=\-]|是|为|应为|应该是|应)"
)
RIGHT = r"(?:is|正确)(?=\s*(?:$|[.。]|(?:the |most likely )?(?:correct|right|best|answer)))"
ANNOUNCED = re.compile(rf"{SAYS}[\"']?(?:\s*{LINK})*{LETTER}|(?<![A-Za-z0-9'\-])([A-J])\)?\s*(?:选项|项)?\s*{RIGHT}")
LABEL = re.compile(r"^\W*([A-Ja-j])(?:\s*[.):,、。\]\-]\s*|\s*$)(.*)$")
TEXT = re.compile(
    r"(?:\b[Aa]nswer|答案)[\"']?(?:\s*(?:\b(?:is|would be|should be|must be)\b|[:=]|是|为))+\s*([^\n]+)"
    r"|^\W*(?:[Ii]t is|[Ii]t's)\s+([^\n]+)"
)
STOP = re.compile(r"[.;]?\n|[.;](?=\s)|,(?= (?:because|since|as|which)\b)")  # where an option may end and a reason begin
NEGATED = re.compile(
    r"^[\s)\].]*(?:(?:is|was|would be|选项|项)\s*)?(?:not\b|n't|wrong|incorrect|unlikely|false|excluded|错|不)", re.IGNORECASE
)
NOT_BEFORE = re.compile(r"(?:\bnot|n't|\bnever|\bneither|不|非)\s*(?:the|an|correct|right|应|该|be|\s)*$", re.IGNORECASE)
ANOTHER = re.compile(r"^[\s)\].\"']*(?:,|/|&|\bor\b|\band\b|或|和|、|\s)+[\s(\[]*([A-J])(?![A-Za-z0-9'\-])")


def choice(sample: Sample, trace: Trace) -> Score:
    return verdict("choice", parse(trace.answer, sample.choices), sample.target, trace)


def parse(answer: str, choices: Sequence[str] = ()) -> str:
    """The one letter the answer commits to, or ""."""
    text, letters = final(answer), LETTERS[: len(choices) or 5]
    for said in (_announced(text), _texts(text, choices), _labels(text, choices)):
        if found := set(said):
            return found.pop() if len(found) == 1 and found <= set(letters) else ""
    return ""


def _announced(text: str) -> Iterator[str]:
    """Letters said to be the answer: "the answer is (B)", "I choose B", "B is correct", "选B"."""
    for match in ANNOUNCED.finditer(_upper_marker(text)):
        letter, rest = match[1] or match[2], text[match.end() :]
        if NEGATED.match(rest) or NOT_BEFORE.search(text[: match.start()]):
            continue
        if letter == "A" and re.match(r" (?!is\b|because|since|as\b|or\b|and\b|with high)[a-z]", rest):
            continue  # an article: "the answer is A tumour"
        yield letter
        yield from _others(rest)


def _upper_marker(text: str) -> str:
    """The words around a letter in lower case; capital letters that stand alone keep theirs. Same length."""
    return re.sub(r"[A-Za-z]{2,}|\bI\b(?= \w{2})", lambda m: m[0].lower(), text)


def _labels(text: str, choices: Sequence[str]) -> Iterator[str]:
    """Letters that open a line as a label ("B", "(b)", "B. Pancreas"), each checked against the text beside it."""
    if len(words := set(re.findall(r"\w+", text))) == 1 and len(word := words.pop()) == 1 and word.upper() in LETTERS:
        yield word.upper()
        return
    for line in text.splitlines():
        if not (match := LABEL.match(line)):
            continue
        letter, rest = match[1].upper(), match[2]
        beside = [LETTERS[i] for i, option in enumerate(choices) if plain(option) == plain(rest)]
        if NEGATED.match(rest) or (match[1].islower() and plain(rest) and letter not in beside):
            continue
        yield letter
        if letter not in beside:
            yield from beside
            yield from _others(" , " + rest if rest else "")


def _others(rest: str) -> Iterator[str]:
    """More letters joined to one by a comma, "or", "and": "B or C", "B, C"."""
    while match := ANOTHER.match(rest):
        rest = rest[match.end() :]
        if match[1] == "A" and re.match(r" [a-z]", rest):
            return  # an article: "B, A rare tumour"
        yield match[1]


def _texts(text: str, choices: Sequence[str]) -> Iterator[str]:
    """Options whose exact text is the answer: all of it, what is announced, or its opening before any other option."""
    named = [(letter, plain(option)) for letter, option in zip(LETTERS, choices, strict=False) if plain(option)]
    if (ends := re.match(r"(.*?)\s*[(\[]([A-J])[)\]]\W*$", text)) and (ends[2], plain(ends[1])) in named:
        yield ends[2]
    for said in [text, *(a or b for a, b in TEXT.findall(text))]:
        for stop in [len(said), *(m.start() for m in STOP.finditer(said))]:
            rest = f" {plain(said[stop:])} "
            for letter, option in named:
                if plain(said[:stop]) == option and not any(f" {other} " in rest for _, other in named if other != option):
                    yield letter
