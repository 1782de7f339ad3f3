"""Classify the sentences of a report: finding, denial, device, comparison, advice, technique, filler.

A sentence has offsets in the original text. Filler ("Thank you for this referral.") needs no evidence;
every other sentence is at least one claim.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from medxiaohe.scoring._findings import Finding, Lexicon, lexicon
from medxiaohe.scoring._sentences import sentence_spans

SentenceKind = Literal[
    "finding",
    "negative",
    "device",
    "comparison",
    "recommendation",
    "technique",
    "question",
    "filler",
    "other",
]
DEVICES = frozenset(
    "pacemaker,endotracheal tube,nasogastric tube,chest tube,central line,prosthetic valve"
    ",hardware,sternotomy"
    ",bypass grafts,surgical clips".split(",")
)
# words that compare with an earlier study; "increased lung markings" and "decreased lung volumes" do not
COMPARES = re.compile(
    r"\b(?:compar(?:ed|ison|ing)\b(?! *:)|unchanged|interval\b(?! between)|since (?:the )?(?:prior"
    r"|previous|last"
    r"|prior|earlier)|(?:prior|previous|earlier|preceding|last) (?:exam\w*|stud(?:y|ies)|film"
    r"|x-?ray|radiograph\w*|ct"
    r"|images?|imaging|chest|report|mri|scan)|(?:no|without)(?: significant| interval| appreciable"
    r"| definite| acute)*"
    r" change|(?:not|has|have|little|is|are) (?:significantly |substantially )?changed|stable"
    r"|again (?:seen|noted"
    r"|identified|demonstrated|visuali[sz]ed)|once again|re-?demonstrat\w+|persist(?:s|ent|ing"
    r"|ed)?|has(?: now)?"
    r" (?:resolved|cleared|improved|worsened|progressed|decreased|increased|enlarged|developed)|have(?: now)?"
    r" (?:resolved|cleared|improved|worsened|progressed|decreased|increased|enlarged|developed)"
    r"|is now|are now"
    r"|previously|resolv(?:ed|ing)|resolution|(?:newly|new) (?!york|onset)\w+|worsen(?:ed|ing)"
    r"|improv(?:ed|ing|ement)"
    r"|progress(?:ed|ion)|in the interim|remains?|increas(?:ed|ing) (?:in size|since|from"
    r"|compared)|decreas(?:ed|ing)"
    r" (?:in size|since|from|compared)|(?:larger|smaller) than (?:before|previous|prior))\b",
    re.IGNORECASE,
)
# phrases that look like a comparison and describe the present study
NOT_COMPARED = re.compile(
    r"\bno new\b|\bcomparison (?:is )?(?:none|not available|unavailable)\b|\bno (?:prior|previous|comparison)"
    r" (?:stud\w+|exam\w*|films?|images?|radiographs?|x-rays?)?\b",
    re.IGNORECASE,
)
ADVICE = re.compile(
    r"\b(?:recommend\w*|suggest (?:follow|further|clinical|correlation|ct)|advis(?:e|ed)"
    r"|follow[- ]?up|correlat\w+"
    r"|consider(?!ed|able|ably|ing the)|further evaluation|clinically indicated|could be obtained"
    r"|may be helpful"
    r"|should be (?:considered|obtained|repeated))\b",
    re.IGNORECASE,
)
TECHNIQUE = re.compile(
    r"^(?:\W*(?:two|2|one|1|single|pa|ap|frontal|lateral|portable|upright|supine|3|three)\b[^.]{0,60}\b(?:views?|radiographs?"
    r"|projections?|images?|films?)\b[^.]*\.?)$|\b(?:was|were) (?:obtained|performed|submitted|acquired)\b"
    r"|\b(?:patient is rotated|rotated (?:to|view)|underpenetrated|suboptimal|limited (?:by|exam"
    r"|study|evaluation)"
    r"|motion artifact|lordotic|inspiratory effort|contrast (?:material )?(?:was|is))\b",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"^\W*(?:thank you|thanks|please (?:see|do)|dear|regards|sincerely|the following|findings"
    r"|impression|report|see (?:above|below)"
    r"|as above|dictated|electronically|signed|discussed with|xxxx|x-?xxxx|here is|i hope"
    r"|let me know|note that this"
    r"|end of|none|n/?a|sure|certainly|of course)\b[^.]{0,80}\W*$|^[\WxX_]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a text, with the findings that are named in it."""

    start: int  # code points of the text
    end: int
    text: str
    kind: SentenceKind
    findings: tuple[Finding, ...] = ()


def split(text: str, words: Lexicon | None = None) -> list[Sentence]:
    """Split a text into sentences, each with its kind and its findings.

    Args:
        text: a report in English.
        words: lexicon of the names of findings; None: that of radiology that ships.

    Returns:
        in order; offsets in code points, text with single blanks
    """
    findings = list((words or lexicon()).findings(text))
    rows = []
    for start, end in sentence_spans(text):
        inside = tuple(finding for finding in findings if start <= finding.at[0] < end)
        words_of_it = " ".join(text[start:end].split())
        rows.append(Sentence(start, end, words_of_it, kind_of(words_of_it, inside), inside))
    return rows


def kind_of(text: str, findings: Sequence[Finding]) -> SentenceKind:
    """Classify one sentence by its words and its findings.

    Args:
        text: one sentence.
        findings: in it.

    Returns:
        one of `SentenceKind`
    """
    if text.rstrip("\"')] ").endswith(("?", "？")):
        return "question"
    if compares(text):
        return "comparison"
    if ADVICE.search(text) and not any(finding.status == "present" for finding in findings):
        return "recommendation"
    if findings:
        if all(finding.name in DEVICES for finding in findings):
            return "device"
        return "negative" if all(finding.status == "absent" for finding in findings) else "finding"
    if FILLER.search(text):
        return "filler"
    if TECHNIQUE.search(text):
        return "technique"
    return "other"


def compares(text: str) -> bool:
    """Whether a sentence compares with an earlier study.

    Args:
        text: one sentence.

    Returns:
        False for phrases such as "no new" and "no prior studies"
    """
    return COMPARES.search(NOT_COMPARED.sub(" ", text)) is not None
