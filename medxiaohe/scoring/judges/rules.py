"""A judge without a language model: does a text say a claim, by the names, sides, numbers and words that both
have?

It reads no meaning: a claim in other words is "neither", and one in the same words in another order may be
"supported". It is the same every time, costs nothing, cannot be talked to, and is a floor that a model must
beat to be worth its calls. How far it agrees with physicians is in docs/results/judge_agreement.md.

    supported     the best run of up to three sentences has at least SUPPORTS of the claim's words, every
                  number and every
                  finding of it, and denies none of them
    contradicted  it has at least SPEAKS_OF of them, and a finding or word is denied in one and not in the
                  other, or is on the
                  other side, or a number with the same unit is another, or one has the opposite of a word
                  (increase, decrease)
    cannot tell   no word of the claim is in the text
    neither       otherwise

A criterion is met when the claim in it ("Advises to ...", "States that ...") is supported; of criteria about
anything but content (tone, length, language) it cannot tell. It does not compare answers.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.linking.context import contexts
from medxiaohe.scoring import _findings
from medxiaohe.scoring._findings import Finding, Lexicon, lexicon
from medxiaohe.scoring._sentences import sentences
from medxiaohe.scoring._words import NUMBER, content, stem
from medxiaohe.scoring.judges.questions import ABSTAINED, Question, Verdict, digest

TURNED = 1 / 3  # of the words in common: denied in one and not in the other
# shares of a claim's words; docs/results/judge_agreement.md says on what they were chosen
SUPPORTS, SPEAKS_OF = 0.7, 0.5
RUN = 3  # sentences
PAIRS = """increased decreased, increase decrease, high low, higher lower, raised lowered, safe unsafe, effective ineffective, common rare,
before after, left right, benign malignant, acute chronic, hypertension hypotension, necessary unnecessary, normal abnormal,
improve worsen, avoid recommend, contraindicated recommended, more less, larger smaller, start stop"""  # noqa: E501
OPPOSITES = {stem(a): stem(b) for pair in PAIRS.split(",") for a, b in (pair.split(), pair.split()[::-1])}
LEAD = re.compile(
    r"^\W*(?:the (?:response|answer|reply|assistant|model)\s+)?(?:should\s+)?"
    r"(?:(?:clearly|explicitly|briefly|correctly|accurately|appropriately)\s+)?"
    r"(?:mention|state|advise|recommend|suggest|explain|include|identif(?:y|ie)|provide|describe|list|note|say|specif(?:y|ie)|indicate|inform"
    r"|emphasi[sz]e|clarif(?:y|ie)|acknowledge|warn|discuss|encourage|instruct|remind|point"
    r" out|highlight|give|direct|offer|urge"
    r"|propose|outline)"
    r"(?:e?s|ing)?\b(?:\s+(?:the"
    r" (?:user|patient|mother|parent|reader)|them))?(?:\s+(?:that|to|about|of|against))?\s+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RuleJudge:
    """Judge without a language model: entailment by words, numbers and findings (`entails`)."""

    name: str
    words: Lexicon

    @classmethod
    def of(cls, tree: Path | None = None) -> RuleJudge:
        """Build the judge, with the names of a tree added to those of the lexicon.

        Args:
            tree: folder of an entity.build stage; None for the lexicon alone.

        Returns:
            A judge whose name changes with its code and the tree.
        """
        code = io.code.digest(__name__)
        built = (io.digest(tree) or str(tree)) if tree is not None else ""
        return cls(f"rules#{digest(code, built)[:8]}", lexicon(tree))

    def ask(self, questions: Sequence[Question]) -> list[tuple[Verdict, ...]]:
        """Judge every item by rules; pairs of answers and criteria about style are abstained from.

        Args:
            questions: each with one or more items.

        Returns:
            One tuple of verdicts for each question, in order of its items.
        """
        return [tuple(self._verdict(question, item) for item in question.items) for question in questions]

    def _verdict(self, question: Question, item: str) -> Verdict:
        prompt = digest(question.kind, question.text, item)
        if question.kind == "split":
            return Verdict("\n".join(dict.fromkeys(sentences(question.text))), "", prompt, judge=self.name)
        if question.kind == "pair":
            return Verdict(ABSTAINED, "rules do not compare answers", prompt, judge=self.name)
        if question.kind == "claim":
            return Verdict(*entails(question.text, item, self.words), prompt, judge=self.name)
        lead = LEAD.match(item)
        if not lead:
            return Verdict(ABSTAINED, "not a criterion about content", prompt, judge=self.name)
        label, why = entails(question.text, item[lead.end() :], self.words)
        return Verdict("met" if label == "supported" else "not met", why, prompt, judge=self.name)


@dataclass(frozen=True)
class _Passage:
    """A sentence or a run of them as its words, each with whether it is denied; its findings and its
    numbers."""

    denied: dict[str, set[bool]]  # stem -> whether it is denied, every time it is there
    findings: tuple[Finding, ...]
    numbers: frozenset[tuple[str, str]]  # (number, unit)


def entails(text: str, claim: str, words: Lexicon) -> tuple[str, str]:
    """Decide whether a text entails a claim, by the words, numbers and findings of its best one to `RUN`
    sentences.

    Args:
        text: a reply or reference.
        claim: one statement.
        words: names of findings.

    Returns:
        (label, why): supported, contradicted, neither, or "cannot tell" without a word in common.
    """
    claimed = _passage(claim, words)
    if not claimed.denied:
        return ABSTAINED, "the claim has no words to look for"
    rows = _read(text, words)
    runs = [rows[i : i + n] for n in range(1, RUN + 1) for i in range(len(rows) - n + 1)]
    if not runs:
        return "neither", "the text says nothing"
    # the run of sentences with the largest share of the claim's stems
    best, share = None, 0.0
    for run in runs:  # the shortest of the best
        joined = _joined(run)
        overlap = sum(stem in joined.denied for stem in claimed.denied) / len(claimed.denied)
        if overlap > share + 1e-9:  # strictly larger: a longer run wins by more words only
            best, share = joined, overlap
    if best is None:
        return ABSTAINED, "no word of the claim is in the text"
    about = f"{share:.0%} of the claim's words"
    if share >= SPEAKS_OF and (why := _conflict(claimed, best, words.parents)):
        return "contradicted", f"{about}; {why}"
    if share >= SUPPORTS:
        missing = _missing(claimed, best)
        return ("neither", f"{about}; {missing}") if missing else ("supported", about)
    return "neither", about


@functools.lru_cache(maxsize=64)
def _read(text: str, words: Lexicon) -> tuple[_Passage, ...]:
    return tuple(_passage(sentence, words) for sentence in sentences(text))


def _passage(text: str, words: Lexicon) -> _Passage:
    text = _findings.prepared(text)
    marks = content(text)
    denied: dict[str, set[bool]] = {}
    for mark, context in zip(marks, contexts(text, [mark.span() for mark in marks]), strict=True):
        denied.setdefault(stem(mark.group()), set()).add(context.negated)
    numbers = frozenset((match[1].replace(",", "."), stem(match[2] or "")) for match in NUMBER.finditer(text))
    return _Passage(denied, tuple(words.findings(text)), numbers)


def _joined(run: Sequence[_Passage]) -> _Passage:
    denied: dict[str, set[bool]] = {}
    for sentence in run:
        for word, ways in sentence.denied.items():
            denied.setdefault(word, set()).update(ways)
    return _Passage(
        denied,
        tuple(f for sentence in run for f in sentence.findings),
        frozenset(n for sentence in run for n in sentence.numbers),
    )


def _conflict(claim: _Passage, text: _Passage, parents: dict[str, str]) -> str:
    """Why both cannot be true, or "". Who denies a finding denies every kind of it."""
    for finding in claim.findings:
        same = [counterpart for counterpart in text.findings if counterpart.name == finding.name]
        if same and all(
            (counterpart.status == "absent") != (finding.status == "absent") for counterpart in same
        ):
            return f"{finding.name} is {'denied' if finding.status != 'absent' else 'not denied'}"
        if (
            finding.side in ("left", "right")
            and same
            and all({finding.side, counterpart.side} == {"left", "right"} for counterpart in same)
        ):
            return f"{finding.name} is on the other side"
        for counterpart in text.findings:
            for general, special in ((finding, counterpart), (counterpart, finding)):
                if (
                    general.status == "absent"
                    and special.status == "present"
                    and general.name in _above(special.name, parents)
                ):
                    return f"no {general.name} against {special.name}"
    shared = [word for word in claim.denied if word in text.denied]
    # words with opposite assertion: negated in one, affirmed in the other
    turned = [
        word
        for word in shared
        if len(claim.denied[word] | text.denied[word]) == 2 and len(text.denied[word]) == 1
    ]
    if shared and len(turned) >= len(shared) * TURNED:
        return f"{', '.join(turned[:3])}: denied in one only"
    for number, unit in claim.numbers:
        others = {n for n, u in text.numbers if u == unit}
        if unit and others and number not in others:
            return f"{number} {unit} against {', '.join(sorted(others))}"
    for word in claim.denied:
        if word not in text.denied and OPPOSITES.get(word) in text.denied:
            return f"{word} against {OPPOSITES[word]}"
    return ""


def _above(name: str, parents: dict[str, str]) -> list[str]:
    ancestors = []
    while (name := parents.get(name, "")) and name not in ancestors:
        ancestors.append(name)
    return ancestors


def _missing(claim: _Passage, text: _Passage) -> str:
    numbers = {n for n, _ in text.numbers}
    if lost := [n for n, _ in claim.numbers if n not in numbers]:
        return f"no {lost[0]} there"
    names = {finding.name for finding in text.findings}
    if lost := [claimed.name for claimed in claim.findings if claimed.name not in names]:
        return f"no {lost[0]} there"
    return ""
