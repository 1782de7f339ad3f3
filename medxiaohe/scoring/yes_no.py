"""Yes or no (or maybe, where the sample offers it): the answer must say the word, as the answer.

"Yes, abnormal" is yes. "Unknown", "it is normal", "yes or no", "yes if it is fluid, no if not" and
"No abnormality" are no answer: the "no" of the last is about the abnormality, and to "Is the lung normal?" it
would mean yes. What takes an answer back counts from there: "Yes, hold on, actually no." is no. The words
of each
language are in `languages/`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from medxiaohe.scoring._answer import final, refuses
from medxiaohe.scoring._languages import any_of, latin, spoken
from medxiaohe.scoring._text import plain, verdict
from medxiaohe.types import Message, Sample, Score, Trace

ANSWERS = ("yes", "no", "maybe")
OFFERED = re.compile(
    r"^\W*(?:answer\s*[:=]\s*)?\(?yes\s*(?:/|or)\s*no\)?\s*[:?]\s*(?=\w)", re.IGNORECASE
)  # "Yes/No: Yes"
NO_GOES_ON = re.compile(
    r"\s*(?:$|[^\w\s]|(?:it|there|this|that|these|those|the|i|we|he|she|they|because|since|as|not|is"
    r"|are|no|if|on|in|for)\b)",
    re.IGNORECASE,
)  # after a bare "no": the end, punctuation, or a new clause; "no pneumonia" is not an answer
NUMBERED = re.compile(r"\s*[.°]\s*\d")  # "No. 3 rib"
SENTENCE_STARTS = re.compile(
    r"\s+(?:In|The|This|These|Those|Although|Our|An?|There|Both|Most|While|It|We|They|Patients|Only"
    r"|Because|Since|Using|Based|"
    r"According|As|However|Despite|When|Among|Overall|All|Such|Even)\b"
)
WORDS_OF_SENTENCE = 4  # behind a "no" that begins a reply as a label: "no Septoplasty does not change ..."
WORDS_OF_TEXT = 12  # the same, where the next word is an abbreviation: "no APBI is feasible after ..."
BESIDE = r"(?:[,/&|\\\-]|\bor\b|\band\b|\bou\b|\boder\b|\bo\b|\be\b|\by\b|\bet\b|\bund\b|\s|\.)*"
CHINESE_NO = re.compile(
    r"^(?:没有|无|未见|不存在|未发现|没发现)(?!.{0,4}(?:异常|问题|法))[\u4e00-\u9fff]{2,}$"
)
CHINESE_YES = re.compile(r"^(?:有|存在|可见)(?!.{0,4}(?:异常|问题|可能))[\u4e00-\u9fff]{2,}$")
OPEN_CHINESE = re.compile("或|是否|有没有|还是|吗|？|\\?")


@dataclass(frozen=True)
class Words:
    """The patterns of the languages of one reply."""

    announced: re.Pattern[str]
    leading: re.Pattern[str]
    ending: re.Pattern[str]
    beside: re.Pattern[str]
    word: re.Pattern[str]
    retract: re.Pattern[str]
    condition: re.Pattern[str]
    classes: tuple[tuple[str, re.Pattern[str]], ...]
    names: tuple[str, ...]


def yes_no(sample: Sample, trace: Trace) -> Score:
    """Accuracy of yes, no or maybe: 1 where the word is that of the target, in whatever case either is
    written.

    Args:
        sample: its target is yes, no or maybe; maybe counts where target or choices have it.
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` or `refused` without a clear word
    """
    offered = "maybe" in map(plain, (*sample.choices, sample.target))
    return verdict("yes_no", parse(trace.answer, maybe=offered), plain(sample.target), trace)


def parse(answer: str, maybe: bool = False) -> str:
    """Read yes, no or maybe from a reply.

    Args:
        answer: text of a reply, its thinking included.
        maybe: whether the question allows maybe.

    Returns:
        "yes", "no" or, where allowed, "maybe"; "" when the answer does not commit to one
    """
    text = OFFERED.sub("", final(answer))
    word = _read(text, _words(spoken(text)))
    return word if word in ("yes", "no") or (word == "maybe" and maybe) else ""


def _read(text: str, words: Words) -> str:
    hits = _announced(text, words)
    if not hits:
        hits = _said(text, words)
    first = min((at for at, _ in hits), default=None)
    # what takes an answer back makes the rest of the reply the answer
    if first is not None and (back := [m for m in words.retract.finditer(text) if m.start() > first]):
        return _read(text[back[-1].end() - 2 * back[-1][0].lower().endswith("no") :], words)  # "actually no"
    distinct = {word for _, word in hits}
    return distinct.pop() if len(distinct) == 1 else ""


@lru_cache(maxsize=128)
def _words(names: tuple[str, ...]) -> Words:
    def of(*keys: str) -> str:
        return any_of(names, *keys)

    word = any_of(latin(names), *ANSWERS)
    adverb = (
        r"(?:definitely|clearly|probably|likely|most likely|simply|absolutely|certainly|well"
        r"|hmm|oh|actually|indeed)"
    )
    flags = re.IGNORECASE | re.MULTILINE
    return Words(
        re.compile(
            rf"{of('answer', 'final')}[\"'”」』】]{{0,2}}\s*(?:to (?:the|this|your) question\s"
            rf"*)?(?:{of('link')}|\bbe\b|[:=：\-]|\s){{1,8}}"
            rf"[\s\"'(“「『]*(?:(?:{adverb}|{of('article')}|an?|clear)\s+){{0,4}}[\"'(“「『]*(?P<said>{word})"
            rf"|{of('think')}[\s:,\"']+(?:{of('it_is')}\s+)?(?P<thought>{word})(?=\W*$)",
            flags,
        ),
        re.compile(
            rf"^\W*(?:(?:{adverb}|{of('therefore', 'instead')})[,\s]{{1,4}}){{0,4}}(?P<said>{word}"
            rf")(?P<rest>.*)",
            re.IGNORECASE | re.DOTALL,
        ),
        re.compile(
            rf"(?:^|[,;:，])\s*(?:(?:but|and|{of('therefore', 'instead')}|{adverb})[,\s"
            rf"]{{1,4}}){{0,4}}(?P<said>{word})[\s.!。\"')]*$",
            re.IGNORECASE,
        ),
        re.compile(rf"^{BESIDE}(?P<said>{word})(?=\W|$)", re.IGNORECASE),
        re.compile(word, re.IGNORECASE),
        re.compile(
            rf"(?:^|[.!?…,;:\n\-—–。，；])\s*(?:but |oh,? )?(?:{of('retract')})(?=\s*(?:$|[,.:;!?…\-"
            rf"—–。，]|no\b|yes\b))"
            r"|,\s*(?:wait|hold on|actually)(?=,?\s*(?:actually|no|yes)\b)",
            re.IGNORECASE,
        ),
        re.compile(
            rf"^[\s,]*(?:{of('condition')}|only if|unless|when|provided)(?![^\W_])|^\s*(?:on|in|for"
            rf"|at) the \w+[,;]\s*(?:but )?{word}",
            re.IGNORECASE,
        ),
        tuple((name, re.compile(f"{of(name)}$", re.IGNORECASE)) for name in ANSWERS),
        names,
    )


def _class(word: str, words: Words) -> str:
    """Which of yes, no and maybe a word is, in any language."""
    return next((name for name, pattern in words.classes if pattern.match(word.strip())), "")


def _announced(text: str, words: Words) -> list[tuple[int, str]]:
    """Where the answer is announced, with what it is; the words left open beside it too."""
    hits: list[tuple[int, str]] = []
    for match in words.announced.finditer(text):
        word = _class(match["said"] or match["thought"], words)
        rest = text[match.end() :]
        if word == "no" and (NUMBERED.match(rest) or not NO_GOES_ON.match(rest)):
            continue
        hits += [(match.start(), word), *_open(match.start(), word, rest, words)]
    return hits


def _open(at: int, word: str, rest: str, words: Words) -> list[tuple[int, str]]:
    """What stands beside a word and leaves the answer open: another word, a condition."""
    if words.condition.match(rest):
        return [(at, "yes"), (at, "no")]
    hits = []
    while both := words.beside.match(rest):
        hits.append((at, _class(both["said"], words)))
        rest = rest[both.end() :]
    return hits


def _said(text: str, words: Words) -> list[tuple[int, str]]:
    """The word that opens a sentence or ends it, for every sentence that has one there."""
    hits: list[tuple[int, str]] = []
    at = 0
    if re.search(
        r"\bit depends\b|\bdepends on\b|取决于|\bdepende\b|\bça dépend\b|\bkommt darauf an\b",
        text,
        re.IGNORECASE,
    ):
        return hits
    for sentence in re.split(r"(?<=[.!?;:。！？；：])\s*|\n+", text):
        start, at = at, at + len(sentence) + 1
        if not sentence.isascii() and (clause := _clause(sentence, words.names)):
            hits.append((start, clause))
            continue
        match = words.leading.match(sentence)
        if not match:
            if (ending := words.ending.search(sentence)) and not re.match(
                r"\W*(?:if|unless|when|如果)\b", sentence, re.IGNORECASE
            ):
                before = sentence[: ending.start("said")]
                if not _negated(before):
                    others = [_class(mark[0], words) for mark in words.word.finditer(before)]
                    hits += [(start, answer) for answer in (_class(ending["said"], words), *others)]
            continue
        word, rest = _class(match["said"], words), match["rest"]
        if word == "no" and not _answers_no(sentence, match, text, start == 0):
            continue
        if word and not (re.match(r"[^\W\d_]", rest) and match["said"].isascii()):
            hits += [(start, word), *_open(start, word, rest, words)]
    return hits


def _negated(before: str) -> bool:
    return bool(
        re.search(
            r"\b(?:not|never|n't|sorry|apologies|wrong to|cannot|if|whether|question)\b|n't\b",
            before,
            re.IGNORECASE,
        )
    )


def _answers_no(sentence: str, match: re.Match[str], text: str, opens: bool) -> bool:
    """Whether a "no" that opens a sentence is the answer, and neither a part of "no abnormality" nor of
    a refusal."""
    rest = match["rest"]
    if match["said"].casefold() not in ("no", "não"):
        return True
    if NUMBERED.match(rest + text[text.find(sentence) + len(sentence) :][:4]):
        return False
    if NO_GOES_ON.match(rest):
        return not refuses(rest) or _unseen(rest)
    if SENTENCE_STARTS.match(rest):
        return True
    behind = text[text.find(match["said"]) + 2 :].split() if opens else []
    if (
        not opens
        or not match["said"].islower()
        or not sentence.lstrip().startswith(match["said"])
        or not behind
    ):
        return False
    if re.match(r"[A-Z][a-z]+", behind[0]):
        return len(behind) > WORDS_OF_SENTENCE
    return bool(re.search(r"[A-Z0-9]", behind[0])) and len(behind) > WORDS_OF_TEXT


def _unseen(rest: str) -> bool:
    """Whether what reads like a refusal is a finding: "no, I cannot see any pneumothorax"."""
    return bool(
        re.search(
            r"\b(?:see|identify|detect|find|visuali[sz]e|appreciate|identified|detected|seen"
            r"|visuali[sz]ed|found)\b(?!\s+(?:the|this|that|any)?\s*(?:image|picture|scan|photo"
            r"|x-ray|film)\b)"
            r"(?:\s+(?:an?|any|the|evidence|signs?)\b|\s*[.!]?\s*$)",
            rest,
            re.IGNORECASE,
        )
    )


def _clause(sentence: str, names: tuple[str, ...]) -> str:
    """The answer of a Chinese, Japanese or Korean sentence by its first clause: "没有，肺部清晰。"."""
    if OPEN_CHINESE.search(sentence):
        return ""
    lead = any_of(tuple(name for name in names if name not in latin(names)), "answer", "therefore", "final")
    body = re.sub(
        rf"^\W*(?:(?:{lead}|answer\\b)[\s,，:：]*(?:是|为|は|은|는)?[\s:：「『\"']*)*",
        "",
        sentence.strip(),
        flags=re.IGNORECASE,
    )
    clause = re.split(r"[,，.。!！;；:：、」』\"']", body)[0].strip()
    clause = re.sub(r"(?:です|だ|입니다|이다)$", "", clause)
    for name in ANSWERS:
        if any(
            re.fullmatch(any_of((language,), name), clause)
            for language in names
            if language not in latin(names)
        ):
            return name
    if "zh" not in names:
        return ""
    return "no" if CHINESE_NO.match(clause) else "yes" if CHINESE_YES.match(clause) else ""


EXAMPLE = Sample(
    "yes_no/example",
    (Message("user", ("Is there a pneumothorax? Answer yes or no.",)), Message("assistant", ("No.",))),
    target="no",
)
