"""Extract claims: statements of a text that evidence could support or contradict, with their spans.

    by_findings   one claim for each finding of English radiology, one for each other sentence that states
    something
    by_rules      sentences, their coordinated parts, of any text
    by_judge      atomic claims in the words of a judge (Baichuan-M3, 2.2.2), with the span of the sentence
    that has most of their words

Questions, recited options and filler are no claims.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from medxiaohe.errors import DataError
from medxiaohe.evidence.sentences import Sentence, compares, split
from medxiaohe.scoring import _findings
from medxiaohe.scoring._findings import Lexicon, lexicon
from medxiaohe.scoring._sentences import sentence_spans
from medxiaohe.scoring._text import plain
from medxiaohe.scoring._words import content, stem
from medxiaohe.scoring.claims import atomic
from medxiaohe.scoring.judges.questions import Judge
from medxiaohe.types import Claim, Finding, Need

STATUS = {"present": "present", "absent": "absent", "possible": "uncertain", "hypothetical": "uncertain"}
NO_CLAIMS = ("question", "filler")
MAX_CLAIMS = 20_000  # of one text
VERB = re.compile(
    r"\b(?:is|are|was|were|be|has|have|had|can|may|might|could|should|must|will|does|do|did|shows?|causes?|caused"
    r"|increases?|decreases?|reduces?|lowers?|raises?|treats?|prevents?|requires?|needs?|remains?|appears?|leads?"
    r"|occurs?|affects?|includes?|means|helps?|works?|inhibits?|blocks?|improves?|worsens?)\b",
    re.IGNORECASE,
)
JOINT = re.compile(r"\s*(?:;|,?\s+(?:and|but|while|whereas|however)\s+|[，；]\s*)", re.IGNORECASE)
OPTION = re.compile(r"^\s*\(?[A-Ja-j]\s*[.):：、]\s*")
VERDICT = re.compile(r"(?:yes|no|true|false)\b[\s,.;:–—-]+(?=\w)", re.IGNORECASE)  # answers before they state
CONNECTIVE = re.compile(  # a truncated reply may end in a connective, which states nothing
    r"(?:however|therefore|thus|hence|moreover|furthermore|additionally|also|finally|overall|nevertheless"
    r"|instead|meanwhile|in addition|for example|in summary|in conclusion|as a result|on the other hand)\W*",
    re.IGNORECASE,
)
PLACED = 0.6  # least share of a claim's stems in the sentence that is its span


def by_findings(text: str, words: Lexicon | None = None, recited: Sequence[str] = ()) -> list[Claim]:
    """Extract the claims of a radiology report: one for each finding, one for each other sentence.

    Args:
        text: a report in English.
        words: lexicon of the names of findings; None: that of radiology that ships.
        recited: texts that are no claims though the report repeats them, such as options.

    Returns:
        claims with their spans in code points, in order, ids c1, c2 ...

    Raises:
        DataError: there are more than MAX_CLAIMS claims.
    """
    claims: list[Claim] = []
    for sentence in split(text, words or lexicon()):
        if sentence.kind in NO_CLAIMS or _recites(sentence.text, recited):
            continue
        claims += _of_sentence(sentence, text, len(claims))
        if len(claims) > MAX_CLAIMS:
            raise DataError(f"the text has more than {MAX_CLAIMS:,} claims: give it in parts")
    return claims


def by_rules(text: str, recited: Sequence[str] = ()) -> list[Claim]:
    """Extract the claims of any text: its sentences, and the parts of a sentence that have a verb each.

    Args:
        text: of any kind.
        recited: texts that are no claims though the text repeats them, such as wrong options.

    Returns:
        claims with their spans in code points, in order, ids c1, c2 ...

    Raises:
        DataError: there are more than MAX_CLAIMS claims.
    """
    claims: list[Claim] = []
    for start, end in sentence_spans(text):
        sentence = " ".join(text[start:end].split())
        if sentence.rstrip("\"')] ").endswith(("?", "？")) or _recites(sentence, recited):
            continue
        # "Yes, ..." answers first: the claim begins behind it
        if verdict := VERDICT.match(text, start, end):
            start = verdict.end() if "," in verdict[0] or "." in verdict[0] else start
        for a, b in _parts(text, start, end):
            piece = " ".join(text[a:b].split())
            if CONNECTIVE.fullmatch(piece):
                continue
            if content(piece) or re.search(r"[^\x00-\u2fff]", piece):
                claims.append(Claim(f"c{len(claims) + 1}", piece, (a, b), needs=_need(piece, "text")))
        if len(claims) > MAX_CLAIMS:
            raise DataError(f"the text has more than {MAX_CLAIMS:,} claims: give it in parts")
    return claims


def by_judge(judge: Judge, text: str, recited: Sequence[str] = ()) -> list[Claim] | None:
    """Extract the atomic claims of a text with a judge.

    Args:
        judge: which splits the text.
        text: of any kind.
        recited: texts that are no claims though the text repeats them.

    Returns:
        claims in the judge's order; the span of each is that of the sentence with most of its words, None if
        no sentence has PLACED of them. None instead of a list if the judge failed.
    """
    (statements,) = atomic(judge, [text], [recited])
    if statements is None:
        return None
    rows = [(span, _stems(text[slice(*span)])) for span in sentence_spans(text)]
    claims = []
    for number, claim in enumerate(statements, 1):
        claim_stems = _stems(claim)
        # share of the claim's stems in each sentence; of equal shares the first, shortest sentence (offsets
        # are negated)
        share, at = max(
            (
                (len(claim_stems & sentence_stems) / max(1, len(claim_stems)), (-a, -b))
                for (a, b), sentence_stems in rows
            ),
            default=(0.0, (0, 0)),
        )
        located = (-at[0], -at[1]) if share >= PLACED else None
        claims.append(Claim(f"c{number}", claim, located, needs=_need(claim, "text")))
    return claims


def as_finding(extracted: _findings.Finding) -> Finding:
    """Convert a finding of the extractor to the finding of a claim.

    Args:
        extracted: finding of scoring._findings.

    Returns:
        with its places sorted and joined by ", ", possible and hypothetical as uncertain
    """
    return Finding(
        extracted.name,
        STATUS[extracted.status],
        extracted.side,
        extracted.degree,
        ", ".join(sorted(extracted.places)),
        extracted.person,
        extracted.time,
        extracted.change,
        extracted.size_mm,
    )


def _of_sentence(sentence: Sentence, text: str, before: int) -> list[Claim]:
    """Claims of one sentence: one for each finding, or one for the whole sentence without findings."""
    need = "prior" if sentence.kind == "comparison" else "none" if sentence.kind == "technique" else "image"
    if not sentence.findings:
        at = (sentence.start, sentence.end)
        return [Claim(f"c{before + 1}", sentence.text, at, needs=_need(sentence.text, need))]
    return [
        Claim(
            f"c{before + number}",
            sentence.text,
            (max(sentence.start, finding.around[0]), min(sentence.end, finding.around[1])),
            finding=as_finding(finding),
            needs=_need(sentence.text, need),
        )
        for number, finding in enumerate(sentence.findings, 1)
    ]


def _need(text: str, otherwise: str) -> Need:
    return "prior" if compares(text) else otherwise  # type: ignore[return-value]


def _recites(text: str, recited: Sequence[str]) -> bool:
    """Whether a sentence says no more than an option does."""
    if not recited:
        return False
    forms = {plain(text), plain(OPTION.sub("", text))}
    return any(plain(option) in forms for option in recited)


def _parts(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The coordinated parts of a sentence that have a verb each, as spans; else the sentence."""
    cuts = [(m.start(), m.end()) for m in JOINT.finditer(text, start, end)]
    parts, begin = [], start
    for a, b in cuts:
        if VERB.search(text, begin, a) and VERB.search(text, b, end) and len(text[begin:a].split()) > 2:
            parts.append((begin, a))
            begin = b
    return [*parts, (begin, end)]


def _stems(text: str) -> set[str]:
    return {stem(mark.group()) for mark in content(text)}
