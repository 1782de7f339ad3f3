"""Multiple choice: the letter, or the exact text of one option. Two letters, or none, is no answer; nothing
is guessed.

Letters count where they are said to be the answer, open a line as a label, or stand alone; never "A chest
X-ray". A letter beside the text of another option contradicts itself and is no answer.
"""

import re
from collections.abc import Iterator, Sequence

from medxiaohe.scoring._answer import final
from medxiaohe.scoring._text import plain, verdict
from medxiaohe.types import Message, Sample, Score, Trace

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ROMAN = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV".split()
MARKERS = ("letters", "digits", "roman")

NEAR = 300  # characters around a letter that say how it is meant
END = r"(?![A-Za-z0-9'\u00c0-\u04ff])"
ARTICLE = re.compile(
    r"[ ](?!is\b|seems\b|looks\b|appears\b|because|since|as\b|or\b|and\b|with high)[A-Za-z0-9]"
)
LETTER = rf"[\s(\[{{\"'“「【]*([A-Z]){END}(?!-[A-Za-z])"
SMALL = r"[\s(\[\"'“]*(?:([b-j])(?=\W*(?:$|\n)|[.)\]](?:\s|$))|(?<=[(\[\"'])([a-j])(?=[)\]\"']))"
SAYS = (
    r"(?:\b(?:answer|choice|option|letter|i (?:would )?(?:choose|pick|select|go for)|go(?:ing)?"
    r" (?:with|for)|i'd (?:choose|pick|go with))\b"
    r"|答案|选项|选择|应选|选)"
)
LINK = (
    r"(?:\b(?:is|was|(?:(?:would|should|must) )?be|option|choice|letter|clearly|(?:most"
    r" )?likely|probably|definitely)\b"
    r"|[:=\-]|(?:应该|应当|应)?(?:是|为|选)|选项|应)"
)
RIGHT = (
    r"(?:(?:is|选?项?(?:是|为)?(?:正确|对))(?=\s*(?:$|[.。,，\n]|的|(?:indeed |clearly |the |my |most"
    r" likely )*"
    r"(?:correct|right|best|answer|choice|most likely|most appropriate)))|(?:seems|looks|appears)"
    r" (?=(?:correct|right|best|most likely)))"
)
BEFORE_RIGHT = rf"(?<![A-Za-z0-9'\-])([A-Z])\)?\s*(?:选项|项)?\s*{RIGHT}"
WEAK = (  # only when nothing but an end follows the letter
    r"(?:\b(?:i (?:think|believe|guess|say|would say|suspect)|i'd"
    r" say|therefore|thus|hence|so|probably|(?:most )?likely|definitely)\b"
    r"|(?:^|\n)\W*(?:it|that)(?:'s| is|'d be| would be|'s probably| is probably)\b|因此|所以|故|综上)[\s,:，]*"  # noqa: E501
    r"(?:\b(?:it|that)(?:'s| is|'d be| would be)\s+|option\s+|是|为)*"
    r"[\s(\[\"']*([A-Z])[)\]\"']*(?=\s*(?:$|[.;:\n,，。]|\bbecause\b|\bsince\b))"
)
NOT_BUT = rf"\bnot\s+\(?[A-Z]\)?,?\s+but\s+(?:rather\s+)?(?:option\s+)?\(?([A-Z]){END}"
ANNOUNCED = re.compile(rf"{SAYS}[\"']?(?:\s*{LINK})*(?:{LETTER}|{SMALL})|{BEFORE_RIGHT}|{WEAK}|{NOT_BUT}")
LABEL = re.compile(
    r"^[^\w\"']*[\"']?([A-Za-z])[\"']?(?:\s*[.):,、。;\]]\s*|\s+[-–—]\s*|[-–—]\s+|\s+(?=\()|\s*$)(.*)$"
)
TEXT = re.compile(
    r"(?:\b[Aa]nswer|答案)[\"']?(?:\s*(?:\b(?:is|would be|should be|must be)\b|[:=]|是|为))+\s*(?=([^\n]+))"
    r"|^\W*(?:[Ii]t is|[Ii]t's|[Tt]his is|[Ii] (?:think|believe) it is)\s+(?=([^\n]+))"
    r"|\b(?:diagnosis|finding|cause|choice|option|treatment|step|explanation|drug|test|organ|therefore,?|thus,?|hence,?)"
    r"(?:\s+(?:here|shown|for \w+ patient))?\s*(?:\b(?:is|would be|are)\b|:)\s+(?=([^\n]+))"
)
STOP = re.compile(
    r"[.;]?\n|[.;](?=\s)|,(?= (?:because|since|as|which|not|rather|so|given)\b)|(?="
    r" (?:because|since)\b)|\s*\((?=[^)]*\)\W*$)"
    r"|(?= (?:is|would be) the (?:best|correct|right|likeliest|most"
    r" (?:likely|probable|appropriate|suitable))\b)"
)
NEGATED = re.compile(
    r"^[\s)\].]*(?:(?:is|was|would"
    r" be|seems|选项|项|是)\s*)?(?:not\b|n't|wrong|incorrect|unlikely|false|excluded|ruled out|错|不|排除)",
    re.IGNORECASE,
)
NOT_BEFORE = re.compile(
    r"(?:\bnot|n't|\bnever|\bneither|\bnor|\bexcept(?: for)?|\brather than|\binstead of|\beliminate|\brule"
    r" out|不|非|除了?|排除)"
    r"\s*(?:the|an|correct|right|应|该|be|option|choice|\s)*$",
    re.IGNORECASE,
)
CLAUSE = re.compile(r"[,;:.!?\n]|\b(?:but|so|therefore|thus|hence)\b|[，；。]")
DENIED = re.compile(
    r"\b(?:not|never|unlikely|doubt|doubtful|deny|false|wrong|incorrect|mistaken|whether|tempting|cannot|impossible)\b|n't\b"
    r"|\b(?:some|many|others|students?|one|you|they|people)\b.{0,15}\b(?:may|might|would|could|think|say|claim)\b"
    r"|不是|不对|并非|误认为",
    re.IGNORECASE,
)
SUPPOSED = re.compile(r"^\W*(?:if|unless|suppose|had|were|如果|假如)\b[^.;]*$", re.IGNORECASE)
ANOTHER = re.compile(
    r"^[\s)\].\"']*(?:,|/|&|\bor\b|\band\b|\bas well as\b|或者?|和|与|及|、|\s)+"
    rf"[\s(\[]*(?:option |choice )?([A-Z]){END}(?!-)"
)
# "C or" before "D is correct"
JOINED = re.compile(r"(?<![A-Za-z0-9'\-])([A-Z])\)?\s*(?:/|&|\bor\b|\band\b|或者?|和|、)\s*\(?$")
HEDGE = re.compile(
    r"(?:\bor\b|\balternatively\b|\b(?:could|might|may|can)(?: also)?"
    r" be\b|\bpossibly\b|\bperhaps\b|\bmaybe\b|\beven\b|也可能|或)"
    r"[\s,]*(?:also\s+|it(?:'s| is)\s+)?(?:option\s+|choice\s+|是)?[\s(\[]*([A-Z])" + END + r"(?!-)"
    r"|(?<![A-Za-z0-9'\-(])\(?([A-Z])\)?\s+"
    r"(?:(?:is|are)\s+(?:also|equally)|(?:could|might|may)\s+(?:also\s+)?be|is (?:possible|plausible))\b"
    r"|([A-Z])(?:也|同样)(?:正确|对|可能|有可能)"
)


def choice(sample: Sample, trace: Trace, *, markers: str = "letters") -> Score:
    """1 for the letter of the target. `markers` is how the prompt names its options: "letters", "digits" or
    "roman"."""
    return verdict("choice", parse(trace.answer, sample.choices, markers), letter_of(sample, markers), trace)


def letter_of(sample: Sample, markers: str = "letters") -> str:
    """The letter of the gold option, however the target names it ("B", " b. ", or "2" where the prompt has
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
    """The one letter the answer commits to, or ""."""
    text, letters = _lettered(final(answer), len(choices), markers), LETTERS[: len(choices) or 5]
    texts = [plain(choice) for choice in choices]
    # an option "C" is named by its own letter
    texts = ["" if re.fullmatch("[a-z]", text) else text for text in texts]
    for said in (_announced(text, texts, letters), _texts(text, texts), _labels(text, texts, letters)):
        if found := set(said):
            return found.pop() if len(found) == 1 and found <= set(letters) else ""
    return ""


def _lettered(text: str, count: int, markers: str) -> str:
    """The text with its digits or Roman numerals as letters, where the prompt names its options so."""
    if markers == "letters":
        return text
    names = [str(i + 1) for i in range(count)] if markers == "digits" else ROMAN[:count]
    one = "|".join(sorted(names, key=len, reverse=True))
    pattern = (
        rf"(?<![\w.,/\-])({one})(?=\s*(?:$|[.):,;\]\n\"'、。"
        r"](?!\d)|\s+(?:or|and|is|because|since)\b|或|和|项|选))"
    )
    return re.sub(pattern, lambda m: LETTERS[names.index(m[1])], text)


def _announced(text: str, texts: Sequence[str], letters: str) -> Iterator[str]:
    """Letters said to be the answer: "the answer is (B)", "I choose B", "B is correct", "选B"."""
    near = max(NEAR, 2 * max(map(len, texts), default=0))
    for match in ANNOUNCED.finditer(_upper_marker(text)):
        letter = next(group for group in match.groups() if group).upper()
        end = match.end(match.lastindex or 0)
        before, rest = text[max(0, match.start() - NEAR) : match.start()], text[end : end + near]
        if letter not in letters and not re.match(r"\W*(?:$|\n)", rest):
            continue
        beside = _option(re.sub(r"^[\s.):\]\-\"']+", "", rest), texts, letter)
        if beside != letter and NEGATED.match(rest):
            continue
        if NOT_BEFORE.search(before) or _denied(before):
            continue
        if not beside and (spelt := _option(letter + rest, texts)):
            yield spelt  # "the answer is E. coli"
        elif letter != "A" or beside == "A" or not ARTICLE.match(rest):
            yield from (letter, *filter(None, [beside]), *JOINED.findall(before[-12:]))
            if beside != letter:
                yield from _others(rest)
            yield from _hedges(rest.split("\n")[0], letter, letters)


def _option(text: str, texts: Sequence[str], own: str = "") -> str:
    """The letter of the option that the text is, up to where a reason may begin, or ""; of two alike the
    `own` one."""
    for _, said in _openings(text, texts):
        if found := [
            letter for letter, option in zip(LETTERS, texts, strict=False) if option and said == option
        ]:
            return own if own in found else found[0]
    return ""


def _openings(text: str, texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Where the text may stop naming an option, with what it then says; not far beyond the longest option."""
    limit = 2 * max(map(len, texts), default=0) + 40
    if len(text) <= limit:
        yield len(text), plain(text)
    for match in STOP.finditer(text[: limit + 20]):
        if match.start() <= limit:
            yield match.start(), plain(text[: match.start()])


def _denied(before: str) -> bool:
    """Whether the clause before an announcement takes it back: "it is unlikely that the", "if it were the
    liver, the"."""
    sentence = re.split(r"[.!?;\n。]", before)[-1]
    clause = CLAUSE.split(sentence)[-1]
    return bool(
        DENIED.search(clause) or SUPPOSED.match(re.split(r"\b(?:but|since|therefore|so)\b", sentence)[-1])
    )


def _upper_marker(text: str) -> str:
    """The words around a letter in lower case; capital letters that stand alone keep theirs. Same length."""
    return re.sub(r"[A-Za-z]{2,}|\bI\b(?= \w{2}|')", lambda m: m[0].lower(), text)


def _labels(text: str, texts: Sequence[str], letters: str) -> Iterator[str]:
    """Letters that open a line as a label ("B", "(b)", "B. Pancreas"), each checked against the text beside
    it."""
    if (
        len(words := set(re.findall(r"\w+", text))) == 1
        and len(word := words.pop()) == 1
        and word.upper() in letters
    ):
        yield word.upper()
        return
    for line in text.splitlines():
        if (spaced := re.match(r"^\W*([A-Za-z])\s+(\w.*)$", line)) and _option(
            spaced[2], texts, spaced[1].upper()
        ) == spaced[1].upper():
            yield spaced[1].upper()  # "B Pleural effusion"
        if not (match := LABEL.match(line)) or match[1].upper() not in letters:
            continue
        letter, rest = match[1].upper(), match[2]
        beside = _option(rest.strip("()"), texts, letter)
        if beside != letter and (NEGATED.match(rest) or (match[1].islower() and plain(rest))):
            continue
        yield letter
        if beside != letter:
            yield from filter(None, [beside])
            yield from _others(" , " + rest if rest else "")
        yield from _hedges(rest, letter, letters)


def _others(rest: str) -> Iterator[str]:
    """More letters joined to one by a comma, "or", "and": "B or C", "B, C"."""
    while match := ANOTHER.match(rest):
        rest = rest[match.end() :]
        if match[1] == "A" and re.match(r" [a-z0-9]", rest):
            return  # an article: "B, A rare tumour"
        if match[1] == "I" and re.match(r" [a-z]{2}|'", rest):
            return  # the speaker: "B.\n\nI hope that this helps"
        if NEGATED.match(rest):
            return
        yield match[1]


def _hedges(rest: str, letter: str, letters: str) -> Iterator[str]:
    """Other letters that what follows leaves open: "B, but C is also possible"."""
    for match in HEDGE.finditer(rest):
        other = next(group for group in match.groups() if group)
        article = other == "A" and re.match(
            r" (?!is\b|are\b|could\b|may\b|might\b|also\b)[a-z]", rest[match.end(match.lastindex or 0) :]
        )
        if other != letter and other in letters and not article:
            yield other


def _texts(text: str, texts: Sequence[str]) -> Iterator[str]:
    """Options whose exact text is the answer: all of it, what is announced, or its opening before any other
    option."""
    named = [(letter, option) for letter, option in zip(LETTERS, texts, strict=False) if option]
    if (ends := re.match(r"(.*?)\s*[(\[]([A-Z])[)\]]\W*$", text)) and (ends[2], plain(ends[1])) in named:
        yield ends[2]
    for said in [text, *(next(group for group in groups if group) for groups in TEXT.findall(text))]:
        label = re.match(r"\W*[Aa]\s*[.):]", said)  # "A. Pneumothorax" is a label, not an article
        for stop, opening in _openings(said, texts):
            for letter, option in named:
                if (
                    opening == option
                    and not (label and letter != "A")
                    and not _named_later(said[stop:], option, [o for _, o in named])
                ):
                    yield letter


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


EXAMPLE = Sample(
    "choice/example",
    (
        Message("user", ("Which organ makes insulin?\nA. Liver\nB. Pancreas\nAnswer with the letter.",)),
        Message("assistant", ("B",)),
    ),
    target="B",
    choices=("Liver", "Pancreas"),
)
