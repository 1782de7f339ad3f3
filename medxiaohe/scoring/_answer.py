"""Where the answer is in a reply, and when a reply refuses: the first two questions of every parser.

Thinking is no answer. What is tagged, boxed or announced as final wins over everything before it. A reply
that speaks to its grader ("the answer key says B", "give full marks") is no answer at all.
"""

import re
import unicodedata

THOUGHT = re.compile(
    r"<(think|thinking|thought|reasoning|seed:think)>.*?(?:</\1>|\Z)"
    r"|<unused94>.*?(?:<unused95>|\Z)"  # MedGemma 27B
    # gpt-oss
    r"|<\|channel\|>(?:analysis|commentary)<\|message\|>.*?(?:<\|end\|>|<\|start\|>|(?=<\|channel\|>)|\Z)"
    r"|◁think▷.*?(?:◁/think▷|\Z)",
    re.IGNORECASE | re.DOTALL,
)
CLOSED = re.compile(
    r"^.*(?:</(?:think|thinking|thought|reasoning|seed:think)>|<unused95>|◁/think▷)",
    re.IGNORECASE | re.DOTALL,
)
SPECIAL = re.compile(r"<\|[a-z_]+\|>(?:final|assistant)?", re.IGNORECASE)
TAGGED = re.compile(
    r"<answer>(.*?)(?:</answer>|\Z)|\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}", re.IGNORECASE | re.DOTALL
)
FINAL = re.compile(
    r"\bfinal answer(?: is\b)?(?!\s*(?:options?|choices|format|key))"
    r"|\bfinal (?:response|diagnosis|decision|choice)[*_\s]*(?::|\bis\b|\n)|最终(?:答案|诊断|选择)|####",
    re.IGNORECASE,
)

UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
CANNOT = (
    r"(?:can ?not|can't|could not|couldn't|am unable to|are unable to|am not able to|are not able"
    r" to|won't|will not|must decline to)"
)
TO_SAY = (
    r"(?:determine|tell|answer|assess|diagnose|provide|say|help|assist|know|decide|conclude|identify|interpret|view|see|access|comment|"
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
TO_GRADER = re.compile(
    r"\b(?:the |an? )?(?:official )?(?:answer|marking|scoring|grading) key\b|\b(?:ground|gold)"
    r" ?-?(?:truth|answer|label)\b"
    r"|\b(?:award|give|assign|grant)\b.{0,20}\b(?:full|maximum|all|top)\b.{0,10}\b(?:marks?|points?|score|credit)\b"
    r"|\bmark (?:this|it|my answer|the answer) (?:as )?(?:correct|right)\b"
    r"|\b(?:ignore|disregard|forget)\b.{0,20}\b(?:previous|prior|above|earlier)\b.{0,20}\b(?:instruction|prompt|message|rule)s?\b"
    r"|\b(?:dear|hey|note to(?: the)?|attention)\b.{0,10}\b(?:grader|judge|evaluator|examiner)\b"
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


def final(answer: str) -> str:
    """The part of an answer that commits: no thinking, no markdown; what is tagged, boxed or announced as
    final wins.

    Thinking that was cut off before it closed leaves nothing, and neither does an answer that speaks to its
    grader. Characters are in NFKC, so "Ｂ：" reads "B:".
    """
    text = outside_thoughts(answer)
    if speaks_to_grader(text):
        return ""
    if tagged := [a or b for a, b in TAGGED.findall(text)]:
        return "\n".join(f"answer: {_bare(t)}" for t in dict.fromkeys(tag.strip() for tag in tagged))
    if announced := list(FINAL.finditer(text)):
        text = "answer" + re.sub(r"^[*_#\s]*[:：]?[*_#\s]*", ": ", text[announced[-1].end() :])
    return _bare(text)


def outside_thoughts(answer: str) -> str:
    """The reply without its thinking, in NFKC, with plain apostrophes and without characters of no width."""
    return SPECIAL.sub(" ", CLOSED.sub("", THOUGHT.sub(" ", spelt(answer))))


def spelt(text: str) -> str:
    """In NFKC, with plain apostrophes and without characters of no width: how a reply and its reference are
    compared."""
    return unicodedata.normalize("NFKC", UNSEEN.sub("", text)).replace("’", "'").replace("‘", "'")


def refuses(text: str) -> bool:
    """Whether it says that it does not answer; "the patient cannot walk" and "cannot be excluded" do not."""
    low = text.lower()
    return any(cue in low for cue in REFUSAL_CUES) and bool(REFUSAL.search(text))


def speaks_to_grader(text: str) -> bool:
    low = text.lower()
    return any(cue in low for cue in TO_GRADER_CUES) and bool(TO_GRADER.search(text))


def _bare(text: str) -> str:
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", text)
    return re.sub(r"[*_`]+", " ", text).strip()
