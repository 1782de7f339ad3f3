"""Extract the answer from a reply and detect refusals: the first two steps of every parser.

Chain-of-thought text is no answer, and neither is a question that the model invents after its answer. A JSON
field that holds the answer wins over the reasoning beside it; what is tagged, boxed or announced as final
wins over everything before it. A reply that asks its grader for points ("the answer key says B", "give full
marks") is no answer at all.
"""

import json
import re
import unicodedata
from functools import lru_cache

from medxiaohe.scoring._languages import any_of, fields, marks, rules, spoken

# gpt-oss, with its marks and after a decoder dropped them: "analysisWe need ... assistantfinalB"
HARMONY = re.compile(
    r"<\|channel\|>(?:analysis|commentary)(?:(?!<\|message\|>).)*<\|message\|>.*?(?:<\|end\|>|<\|"
    r"start\|>|(?=<\|channel\|>)|\Z)",
    re.IGNORECASE | re.DOTALL,
)
PLAIN_HARMONY = re.compile(r"^\s*(?:assistant\s*)?(?:analysis|commentary)(?=[A-Z\s\"'])(.*)\Z", re.DOTALL)
FINAL_CHANNEL = re.compile(r"(?:assistant\s*)final(?=\W|[A-Z]|\d|\Z)|<\|channel\|>\s*final\s*<\|message\|>")
SPECIAL = re.compile(r"<\|[A-Za-z_/]+\|>(?:final|assistant)?")
HTML = re.compile(
    r"</?(?:strong|b|i|em|u|p|br|span|div|mark|font|center|h[1-6]|li|ul|ol|code|pre)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
BOXED = r"\\boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
WORDS = 3  # of a first line that may be an answer alone
CUT_TEXT, CUT_LINE = 120, 60  # characters of a reply, and of its last line, that may stop in mid-sentence
FIELD_ORDER = (
    "final",
    "letter",
    "choice",
    "option",
    "correct",
    "answer",
    "答案",
)  # which field of several wins
VALUE = (
    r"(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'|(\[[^\[\]]*\])|(-?\d[\w.,%+\-]*"
    r"|[A-Za-z]{1,8}(?=\s*[,}\n])))"
)

UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
CANNOT = (
    r"(?:can ?not|can't|could not|couldn't|am unable to|are unable to|am not able to|are not able"
    r" to|won't|will not|must decline to)"
)
TO_SAY = (
    r"(?:determine|tell|answer|assess|diagnose|provide|say|help|assist|know|decide|conclude|identify"
    r"|interpret|view|see|access|comment|"
    r"confirm|give|make|offer|process|analy[sz]e|evaluate|predict|be (?:sure|certain))\w*\b"
)
SAID = r"(?:determined|answered|assessed|known|established|identified|judged|ascertained|concluded|evaluated)"
REFUSAL = re.compile(
    rf"\bi\s+(?:really |simply |honestly )?{CANNOT}\s+(?:\w+\s+){{0,2}}?{TO_SAY}"
    rf"|\bwe\s+{CANNOT}\s+(?:\w+\s+){{0,2}}?(?:determine|tell|answer|say|know) "
    r"(?:this|that|it|the (?:answer|diagnosis)|from|whether|if|which)\b"
    rf"|^\W*(?:answer\W+)?(?:{CANNOT}|unable to|not able to|impossible to|not possible"
    rf" to)\s+(?:\w+\s+){{0,2}}?{TO_SAY}"
    rf"|\b(?:it(?:'s| is)|this is) (?:not possible|impossible|difficult|hard) to\s+(?:\w+\s+){{0,2}}?{TO_SAY}"
    r"|\b(?:can ?not|can't|could not|couldn't) (?:be |reliably |be reliably |be definitively |definitively"
    rf" be )*{SAID}\b"
    r"|\b(?:i(?:'m| am)|we(?:'re| are)) (?:so |very |really )?(?:sorry|afraid|not sure|unsure|uncertain|not"
    r" certain)\b"
    r"|^\W*(?:sorry|apologies|my apologies)\b|\bi apologi[sz]e\b"
    r"|\b(?:not enough|insufficient|inadequate) (?:\w+ )?(?:information|data|context|detail)s?(?: is| are)?"
    r"(?=\W*$|[.;\n]| (?:provided|given|available|to|for)\b)"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b|\bi (?:do not|don't|have no)"
    r" (?:know|idea)\b"
    r"|^\W*(?:please |you should )?(?:consult|see|ask) (?:a|an|your|with a) (?:\w+ )?"
    r"(?:doctor|physician|radiologist|clinician|professional)\b"
    r"|无法(?:\w{0,6}?)(?:确定|判断|回答|诊断|提供|给出|得出|识别|看到|查看|评估|分析|辨别)|不能(?:确定|判断|回答|提供)|难以(?:判断|确定)"
    r"|^\W*(?:很|非常)?(?:抱歉|对不起)|我?不知道|不清楚|信息不足|作为(?:一个|一名)?(?:AI|人工智能|语言模型)",
    re.IGNORECASE,
)
BEGINS = r"(?:^|[.!?;\n]|\bplease\b,?|\bnow\b,?|\band\b|\bmust\b|\bshould\b|\byou\b)\s*"
GRADER = r"(?:grader|judge|evaluator|examiner|reviewer|scorer|grading (?:model|system))"
TO_GRADER = re.compile(
    r"\b(?:the |an? )?(?:official )?(?:answer|marking|scoring|grading) key\b"
    r"|\b(?:ground|gold)[ -]?(?:truth|answer|label|standard answer)s?\b\W*(?:is|says|reads|equals"
    r"|[:=])\W*(?:option |answer )?"
    r"(?:[a-j]\b(?! )|yes\b|no\b|-?\d)"
    r"|\b(?:according to|per|match(?:es|ing)?|equals?|consistent with"
    r"|agrees with) the (?:ground[ -]?truth|gold(?: answer| label)?)\b"
    rf"|{BEGINS}(?:award|give|assign|grant)\b.{{0,20}}\b(?:full|maximum|all|top|highest)\b"
    rf".{{0,10}}\b(?:marks?|credit)\b"
    rf"|{BEGINS}(?:award|give|assign|grant)\b.{{0,20}}\b(?:full|maximum|top|highest)\b.{{0,10}}\b"
    rf"(?:points?|score)\b(?! (?:of|for) )"
    r"|\b(?:award|give|assign|grant)\b (?:me|this (?:answer|response|reply)|my \w+|it)\b.{0,20}\b"
    r"(?:marks?|points?|score|credit)\b"
    r"|\b(?:full|maximum) (?:marks|credit) (?:for|to) (?:this|my|me)\b"
    r"|\bmark (?:this|it|my answer|the answer) (?:as )?(?:correct|right)\b"
    rf"|{BEGINS}(?:ignore|disregard|forget)\b.{{0,20}}\b(?:previous|prior|above|earlier)\b"
    rf".{{0,20}}\b(?:instruction|prompt|rule|message)s?\b"
    rf"|(?:^|[.!?;\n])\s*(?:dear|hey|hello|note to(?: the)?|attention,?(?: to)?(?: the)?)\b"
    rf".{{0,10}}\b{GRADER}\b"
    r"|\b(?:is|as) (?:equal to |the same as )?the (?:reference|correct|expected) answer[, ]+(?:whatever|no"
    r" matter)\b"
    r"|\b(?:same as|equal to|identical to|equals|matches) the (?:reference|correct|expected|gold|right)"
    r" answer\b"
    r"|标准答案|参考答案|请(?:给|判)(?:满分|我对|对)|忽略.{0,6}(?:指令|说明|提示)",
    re.IGNORECASE,
)
# Every match has one of its cues; most replies have none, and a search for plain words is a hundred times
# faster.
REFUSAL_CUES = (
    "can't", "cannot", "can not", "could not", "couldn't", "unable", "not able", "won't", "will not",
    "decline", "possible", "difficult",
    "hard to", "sorry", "afraid", "sure", "certain", "apolog", "enough", "insufficient", "inadequate", "as a",
    "know", "idea", "consult",
    "see a", "see y", "ask a", "ask y", "see w", "ask w", "无法", "不能", "难以", "抱歉", "对不起", "不知道",
    "不清楚",
    "信息不足",
    "作为",
)  # fmt: skip
TO_GRADER_CUES = (
    " key", "truth", "gold", "mark", "point", "score", "credit", "ignore", "disregard", "forget", "grader",
    "judge", "evaluator",
    "examiner", "the reference", "the correct", "the expected", "the right", "标准答案", "参考答案", "请给",
    "请判",
    "忽略",
)  # fmt: skip


@lru_cache(maxsize=4096)
def final(answer: str) -> str:
    """Extract the final answer of a reply: the text that parsers read.

    Chain-of-thought text and invented follow-up questions are removed first. Of the rest, the last JSON field
    that holds an answer wins, then a tag or a box, then what follows the last announcement as final that is
    not empty. Thinking that was cut off before it closed leaves nothing, and neither does a reply that
    addresses its grader. Characters are in NFKC, so "Ｂ：" reads "B:".

    Args:
        answer: text of a reply, its thinking included.

    Returns:
        The answer text, "" without one; several different tagged answers are joined by line breaks, and an
        announced answer is rewritten as "answer: ...".
    """
    text = outside_thoughts(answer)
    if speaks_to_grader(text):
        return ""
    if (field := answer_field(text)) is not None:
        return _said(field)
    text = without_invented_turns(text)
    if tagged := [content for content in _tagged(text) if content.strip()]:
        return "\n".join(_said(content) for content in dict.fromkeys(content.strip() for content in tagged))
    if _empty_tag(text):
        return ""
    for mark in reversed(list(_finals().finditer(text))):
        rest = text[mark.end() :]
        if re.search(r"[^\W_]", rest):
            return _bare(
                "answer"
                + re.sub(
                    r"^[*_#\s\]】\"']*(?:[:：]|\b(?:is|es|é|est|ist|lautet)\b|是|为|は|은|는)?[*_#\s]*",
                    ": ",
                    rest,
                )
            )
    return _bare(text)


def outside_thoughts(answer: str) -> str:
    """Remove the chain of thought from a reply and normalise its characters.

    Args:
        answer: text of a reply.

    Returns:
        The rest in NFKC, with plain apostrophes, without zero-width characters and special tokens.
    """
    return SPECIAL.sub(" ", _thoughtless(spelt(answer))[0])


def cut_off(answer: str) -> bool:
    """Detect a truncated reply.

    Args:
        answer: text of a reply, its thinking included.

    Returns:
        True where it stops within its thinking, within a JSON object, or in the middle of a sentence.
    """
    text, closed = _thoughtless(spelt(answer))
    text = text.rstrip()
    if not closed or (text.lstrip().startswith(("{", "```json")) and text.count("{") > text.count("}")):
        return True
    lines = text.splitlines()
    return (
        len(text) >= CUT_TEXT and len(lines[-1]) >= CUT_LINE and bool(re.search(r"[^\W_]$|[,(\[\-]$", text))
    )


def answer_field(text: str) -> str | None:
    """Read the JSON field that holds the answer, by its name in any language (`_languages.fields`).

    Args:
        text: a reply without its thinking.

    Returns:
        The value of the field that is first in `FIELD_ORDER`; None without such a field, "" where the field
        occurs with different values.
    """
    by_name: dict[str, list[str]] = {}
    for match in _field().finditer(text):
        value = _value(match)
        if value.strip() and value.strip().lower() not in ("null", "none", "..."):
            by_name.setdefault(match["name"].lower(), []).append(value.strip())
    if not by_name:
        return None
    name = min(
        by_name,
        key=lambda field: next((i for i, key in enumerate(FIELD_ORDER) if key in field), len(FIELD_ORDER)),
    )
    values = dict.fromkeys(by_name[name])
    return next(iter(values)) if len(values) == 1 else ""


def without_invented_turns(text: str) -> str:
    """Cut a reply where it continues with another turn, or with a question that nobody asked.

    Args:
        text: a reply without its thinking.

    Returns:
        The text before that; all of it where nothing follows or where the part before holds no answer.
    """
    for mark in marks()["ends"]:
        before, separator, _ = text.partition(unicodedata.normalize("NFKC", mark))
        if separator and before.strip():
            text = before
        elif separator:
            text = text.replace(separator, " ")
    match = _question(spoken(text)).search(text)
    return text[: match.start()] if match and _answers(text[: match.start()]) else text


def _answers(text: str) -> bool:
    """Whether the text before a new question may hold an answer: it announces one, or is no more than a
    line."""
    names = spoken(text)
    announced = rf"{any_of(names, 'answer', 'choose', 'final')}\W{{0,6}}(?:{any_of(names, 'link')}|[:：=])"
    first, _, rest = text.strip().partition("\n")
    return bool(re.search(r"[^\W_]", text)) and bool(
        not rest.strip() or len(first.split()) <= WORDS or re.search(announced, text, re.IGNORECASE)
    )


def spelt(text: str) -> str:
    """Normalise the characters of a reply or a reference before they are compared.

    Args:
        text: any text.

    Returns:
        The text in NFKC, with plain apostrophes and without zero-width characters.
    """
    return unicodedata.normalize("NFKC", UNSEEN.sub("", text)).replace("’", "'").replace("‘", "'")


def refuses(text: str) -> bool:
    """Detect a refusal; "the patient cannot walk" and "cannot be excluded" are not refusals.

    Args:
        text: a reply without its thinking, spelt by `spelt`.

    Returns:
        Whether the text says that it gives no answer.
    """
    low = text.lower()
    return any(cue in low for cue in REFUSAL_CUES) and bool(REFUSAL.search(text))


def speaks_to_grader(text: str) -> bool:
    """Detect a prompt injection into the grader: a claim to know the answer key, or a request for full marks.

    Args:
        text: a reply without its thinking, spelt by `spelt`.

    Returns:
        Whether the text addresses its grader.
    """
    low = text.lower()
    return any(cue in low for cue in TO_GRADER_CUES) and bool(TO_GRADER.search(text))


@lru_cache(maxsize=4096)
def _thoughtless(text: str) -> tuple[str, bool]:
    """The text without its thinking, and whether that was closed."""
    opened, closing = _thoughts()
    text = HARMONY.sub(" ", text)
    if PLAIN_HARMONY.match(text):
        finals = list(FINAL_CHANNEL.finditer(text))
        text = text[finals[-1].end() :] if finals else ""
        return text, bool(finals)
    text = opened.sub(" ", text)
    if ends := list(closing.finditer(text)):
        text = text[ends[-1].end() :]
    if unclosed := _opening().search(text):
        return text[: unclosed.start()] + _last_object(text[unclosed.end() :]), False
    return text, True


def _last_object(text: str) -> str:
    """The JSON object with an answer field that ends a text, or "": an answer, though the thinking was
    never closed."""
    text = text.rstrip("` \n\t")
    start = max(text.rfind('{"'), text.rfind("{\n"), text.rfind("{ "))
    return text[start:] if text.endswith("}") and start >= 0 and _field().search(text[start:]) else ""


@lru_cache(maxsize=1)
def _thoughts() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Thinking from its mark to the end of it, and the end of thinking that began before the reply."""
    names = "|".join(map(re.escape, marks()["thoughts"]))
    pairs = [
        rf"{_line(start)}.*?{_line(end)}" for start, end in (map(_nfkc, pair) for pair in marks()["pairs"])
    ]
    opened = rf"<({names})\b[^<>]*>.*?</\1\s*>|\[({names})\].*?\[/\2\]|" + "|".join(pairs)
    ends = [_line(_nfkc(end)) for _, end in marks()["pairs"] if not end.startswith("#")]
    closing = rf"</(?:{names})\s*>|\[/(?:{names})\]|" + "|".join(ends)
    return re.compile(opened, re.IGNORECASE | re.DOTALL), re.compile(closing, re.IGNORECASE)


@lru_cache(maxsize=1)
def _opening() -> re.Pattern[str]:
    names = "|".join(map(re.escape, marks()["thoughts"]))
    starts = [_line(_nfkc(start)) for start, _ in marks()["pairs"] if not start.startswith("#")]
    return re.compile(rf"<(?:{names})\b[^<>]*>|\[(?:{names})\]|" + "|".join(starts), re.IGNORECASE)


def _line(mark: str) -> str:
    """A mark as a pattern; one that is a heading stands on a line of its own."""
    return rf"(?:^|(?<=\n)){re.escape(mark)}\s*\n" if mark.startswith("#") else re.escape(mark)


def _nfkc(mark: str) -> str:
    return unicodedata.normalize("NFKC", mark)


@lru_cache(maxsize=1)
def _field() -> re.Pattern[str]:
    return re.compile(rf"(?<!\\)[\"'](?P<name>{fields()})[\"']\s*:\s*{VALUE}", re.IGNORECASE | re.DOTALL)


def _value(match: re.Match[str]) -> str:
    quoted, single, rows, bare = match.groups()[-4:]
    if quoted is not None:
        try:
            return str(json.loads(f'"{quoted}"', strict=False))
        except ValueError:
            return quoted
    return single or rows or bare or ""


@lru_cache(maxsize=1)
def _tags() -> re.Pattern[str]:
    names = "|".join(marks()["tags"])
    return re.compile(rf"<({names})\b[^<>]*>(.*?)(?:</\1>|\Z)|{BOXED}", re.IGNORECASE | re.DOTALL)


def _tagged(text: str) -> list[str]:
    return [tag or box for _, tag, box in _tags().findall(text)]


def _empty_tag(text: str) -> bool:
    """Whether nothing but an empty tag or box is left."""
    return bool(_tags().search(text)) and not re.search(r"[^\W_]", _tags().sub("", text))


@lru_cache(maxsize=1)
def _finals() -> re.Pattern[str]:
    """The announcements of a final answer: those at the beginning of a line, or with a colon or a verb
    behind."""
    words = any_of(tuple(rules()), "final")
    return re.compile(
        rf"(?i:{words}(?!\s*(?:options?|choices|format|key))(?=[*_\s#\]】\"']*(?:[:：\n]|$|\b(?:is|es"
        rf"|é|est|ist|lautet)\b|是|为|は|은|는|应)|\s+[A-Z]\b))|####(?!#)(?=[ \t]*(?:\(?[A-Za-z]\)?"
        rf"|[A-Z, ]{{1,14}}|-?\d\S*(?: \S{{1,12}})?|yes|no|maybe)[ \t.]*$)"
    )


@lru_cache(maxsize=256)
def _question(names: tuple[str, ...]) -> re.Pattern[str]:
    words = any_of(names, "question")
    return re.compile(
        rf"\n[ \t#*\[【]{{0,8}}{words}[ \t*\]】]{{0,6}}\d*[* \t]{{0,6}}[:：]|\n(?:### )?(?:Human|User"
        rf"|Instruction|Input)\s*:",
        re.IGNORECASE,
    )


def _said(value: str) -> str:
    return f"answer: {_bare(HTML.sub(' ', value))}"


def _bare(text: str) -> str:
    text = re.sub(
        r"\\(?:text|mathrm|textbf|mathbf|textit|mathbf|operatorname)\s*\{([^{}]*)\}",
        r"\1",
        HTML.sub(" ", text),
    )
    return re.sub(r"[*_`]+", " ", text).strip()
