"""Check a chain of thought for peeking at the answer, broken logic and unfaithfulness (the reasoning check of
MedXIAOHE).

    peeks        the answer appears, or is argued from, before it is derived
    illogical    segments that do not belong together, a contradiction, a conclusion other than that of the
                 reasoning
    unfaithful   a statement that the evidence denies or does not have: the question, the facts, the source
                 text of the row

Each returns what is wrong, or "". The checks use words, the names of a tree, and the steps of a stored path;
a judge of claims may be asked as well. They see the gold, which no prompt has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from medxiaohe.data.synth.chains import Chain
from medxiaohe.data.synth.names import evened, telling, visible, without
from medxiaohe.data.synth.walk import Walk
from medxiaohe.entity.linking.finder import Finder
from medxiaohe.rewards.process import CIRCULAR, contradictions
from medxiaohe.scoring._equivalence import canon, sides
from medxiaohe.scoring._findings import Lexicon
from medxiaohe.scoring._sentences import sentences
from medxiaohe.scoring._words import NUMBER, stem
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.scoring.choice import parse as parse_choice
from medxiaohe.scoring.judges.questions import Judge, Question
from medxiaohe.scoring.judges.rules import entails

GIVEN = re.compile(
    r"\b(?:(?:the )?(?:correct|given|provided|known|stated|reference|gold|right|expected|final)"
    r" (?:answer|option|choice|label"
    r"|diagnosis)\b"
    r"|(?:answer|label|solution) (?:key|sheet)\b|as (?:we|I) (?:already )?(?:know|knew|were told)\b"
    r"|(?:was|is|were|are) (?:told|given) (?:that|as)\b"
    r"|(?:knowing|given) (?:that )?(?:the )?answer\b|(?:working|reasoning) backwards?\b"
    r"|justif(?:y|ies|ying) (?:the )?(?:answer|option|choice)\b"
    r"|(?:since|because|as) (?:the )?answer (?:is|must)\b|the answer (?:is|must be|has to be) (?:already"
    r" )?(?:known|given)\b)",
    re.IGNORECASE,
)
LABEL = re.compile(
    r"\b(?:answer|option|choice)\s*(?:is|:|must be|would be|should be)?\s*\(?([A-J])\b(?![a-z'])",
    re.IGNORECASE,
)
STEP = re.compile(r"\bX(\d+)\s+(?:is|must be|can only be)\s+(?!an?\b)")
CLUTTER = re.compile(r"^Step \d+:\s*|,?\s*so X\d+ is .*$|^[A-J]\.\s+|\bX\d+\b")
DENIES = re.compile(r"\b(?:not|never|no|cannot|without|neither|denied|absent)\b|n't\b", re.IGNORECASE)
NEARLY_ALL = 0.8  # of the telling words of two statements that are about the same things
NOTHING = re.compile(r"Nothing says that\s+", re.IGNORECASE)
SAYING = frozenset(  # words that only say that something is seen or follows
    stem(word)
    for word in "seen shown noted visible present image picture film scan shows see look means therefore thus hence fits".split()  # noqa: E501
)
SUPPORTS = 0.85  # share of a statement's telling words that its nearest lines must have
MIN_SHARED = 1  # telling words that neighbouring segments have in common
MAX_UNSUPPORTED = 0.34  # share of the statements of a chain that the evidence need not have


@dataclass(frozen=True, slots=True)
class Case:
    """What a chain is checked against: `names` are all names of the answer, `options` the texts of a
    choice, in order.
    """

    question: str
    names: tuple[str, ...]
    letter: str = ""
    options: tuple[str, ...] = ()
    evidence: str = ""  # facts and texts that statements may rest on, beside the question
    walk: Walk | None = None
    node_names: tuple[str, ...] = ()  # names along the walk, the start first
    clue_names: tuple[tuple[str, str], ...] = ()  # of each clue, the masked and the named entity

    @property
    def all_names(self) -> tuple[str, ...]:
        """Names of the entities of the path and its clues.

        Returns:
            Each once, those of the path first.
        """
        return tuple(dict.fromkeys((*self.node_names, *(name for pair in self.clue_names for name in pair))))


# ---- (a) answer peeking --------------------------------------------------------------------------


def peeks(chain: Chain, case: Case) -> str:
    """Check whether a segment before the conclusion uses the answer instead of deriving it.

    A multiple choice may recall the answer where it recalls all options: then none is singled out.

    Returns:
        "" if not; else the segment and what gives it away.
    """
    for segment, text in zip(("understanding", "recall", "reasoning"), chain.segments[:3], strict=True):
        if (match := GIVEN.search(text)) or (match := CIRCULAR.search(text)):
            return f"the {segment} argues from the answer: {match.group()!r}"
    for segment, text in (("understanding", chain.understanding), ("recall", chain.recall)):
        if (label := LABEL.search(text)) and (not case.letter or label[1].upper() == case.letter):
            return f"the {segment} has the answer's letter"
        named = visible([n for n in case.names if not visible([n], case.question) or case.options], text)
        if named and not (
            case.options and segment == "recall" and all(visible((option,), text) for option in case.options)
        ):
            return f"the {segment} names the answer: {named!r}"
    return ""


# ---- (b) logic -----------------------------------------------------------------------------------


def illogical(chain: Chain, case: Case) -> str:
    """Check that a chain holds together: conclusion, contradictions, steps of a path, shared words of
    neighbouring segments, repetitions.

    Returns:
        "" if it does; else the first fault.
    """
    if wrong := _concludes_elsewhere(chain, case):
        return wrong
    if wrong := _denies_itself(chain, case):
        return wrong
    recalled, reasoned = telling(chain.recall), telling(chain.reasoning)
    if len(recalled & reasoned) < MIN_SHARED:
        return "the reasoning uses nothing of what was recalled"
    if case.walk is not None and (wrong := _broken_steps(chain, case)):
        return wrong
    if not (telling(chain.understanding) & telling(case.question)):
        return "the understanding is of another question"
    return _repeated(chain)


def _concludes_elsewhere(chain: Chain, case: Case) -> str:
    if case.options:
        concluded = parse_choice(chain.conclusion, case.options)
        if concluded and concluded != case.letter:
            return f"the conclusion is {concluded}, the answer {case.letter}"
        if not concluded and not visible(case.names, chain.conclusion):
            return "the conclusion does not name the answer"
        last = _last_option(chain.reasoning, case.options)
        return f"the reasoning ends at {last}, not at {case.letter}" if last and last != case.letter else ""
    if not visible(case.names, chain.conclusion):
        return "the conclusion does not name the answer"
    return "" if visible(case.names, chain.reasoning) else "the answer is not reasoned for"


def _last_option(text: str, options: Sequence[str]) -> str:
    """Return the letter of the option that is named last; of two that end at the same place the longer
    one.
    """
    padded = evened(text)
    places = []
    for letter, option in zip(LETTERS, options, strict=False):
        key = evened(option)
        if (at := padded.rfind(key)) >= 0:
            places.append((at + len(key), len(key), letter))
    return max(places)[2] if places else ""


def _broken_steps(chain: Chain, case: Case) -> str:
    """Check that every masked entity gets its own name, in order, each in a sentence with the entity
    before it.
    """
    assert case.walk is not None
    # names must appear in the order of the path: each is searched from the one before it
    padded, position = evened(chain.reasoning), 0
    numbered = [int(number) for number in STEP.findall(chain.reasoning)]
    if numbered and numbered != list(range(1, len(case.walk.steps) + 1)):
        return f"the steps are {numbered}"
    for number, name in enumerate(case.node_names):
        at = padded.find(f" {evened(name).strip()} ", position)
        if at < 0:
            return f"step {number} leaves out {name}"
        position = at
    for number, (before, after) in enumerate(zip(case.node_names, case.node_names[1:], strict=False), 1):
        if not any(
            visible((before,), sentence) and visible((after,), sentence)
            for sentence in _steps(chain.reasoning)
        ):
            return f"no sentence leads from {before} to {after} (step {number})"
    return ""


def _steps(text: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.;!?])\s+|\n", text) if sentence.strip()]


def _denies_itself(chain: Chain, case: Case) -> str:
    """Search recall and reasoning for a statement and its denial; without a path also for a word that the
    reasoning both affirms and denies.
    """
    statements = [
        statement
        for statement in (*_steps(chain.recall), *_steps(chain.reasoning))
        if not NOTHING.match(statement)
    ]
    for number, statement in enumerate(statements):
        for earlier in statements[:number]:
            if turned(statement, earlier, case.all_names):
                return f"affirmed and denied: {earlier[:60]!r}, {statement[:60]!r}"
    if case.walk is not None:
        return ""  # names of its entities deny by themselves: "sparse or absent eyelashes"
    words = contradictions(
        "\n".join(statement for statement in _steps(chain.reasoning) if not NOTHING.match(statement))
    )
    return f"affirmed and denied: {', '.join(words[:3])}" if words else ""


def turned(a: str, b: str, names: Sequence[str] = ()) -> bool:
    """Check whether two statements are about the same things and exactly one of them is negated.

    Args:
        a: a statement.
        b: another.
        names: entity names, whose own negations ("absent eyelashes") do not count.

    Returns:
        True if one denies the other.
    """
    # about the same things: two telling stems in common, and a Jaccard index of NEARLY_ALL
    first, second = telling(CLUTTER.sub("", a)), telling(CLUTTER.sub("", b))
    if len(first & second) < 2 or len(first & second) < NEARLY_ALL * len(first | second):
        return False
    # exactly one of them has a word that denies
    a, b = without(names, CLUTTER.sub("", a), "it"), without(names, CLUTTER.sub("", b), "it")
    return bool(DENIES.search(a)) != bool(DENIES.search(b))


def _repeated(chain: Chain) -> str:
    statements = [
        canon(statement)
        for statement in sentences(f"{chain.recall}\n{chain.reasoning}")
        if len(statement.split()) > 5
    ]
    twice = next((statement for statement in statements if statements.count(statement) > 2), "")
    return f"one sentence {statements.count(twice)} times" if twice else ""


# ---- (c) faithfulness ----------------------------------------------------------------------------


def unfaithful(
    chain: Chain, case: Case, words: Lexicon, names: Finder | None = None, judge: Judge | None = None
) -> str:
    """Check that the statements of recall and reasoning are supported by the evidence.

    What a picture shows must be in the evidence, all of it; of what is recalled and reasoned MAX_UNSUPPORTED
    may be common knowledge, but no entity of the tree may be named that question, options and evidence do not
    name. On a path, a sentence about two entities must be about two that a fact joins.

    Args:
        chain: to check.
        case: its question, options and evidence.
        words: lexicon of findings.
        names: finder of entities of the tree; None: new entities are not checked.
        judge: is asked about the claims that the rules leave open; where it abstains, or None: the rules
            stand.

    Returns:
        "" if it is faithful; else the first statement that the evidence denies or does not have, or how many
        lack support.
    """
    evidence = "\n".join([case.question, case.evidence, *case.options])
    claims = [
        statement
        for text in (chain.recall, chain.reasoning)
        for statement in _steps(text)
        if len(telling(statement)) > 1
    ]
    if strange := _strange(chain, evidence, names):
        return f"it brings in {strange!r}, which neither question nor evidence has"
    if case.walk is not None and (joined := _unjoined(claims, case)):
        return joined
    seen = set(_steps(chain.recall)) if chain.seen else set[str]()
    known_text, lines = "| " + " | ".join(map(_bare, _steps(evidence))) + " |", _steps(evidence)
    # label every claim by the rules; the judge decides those that are neither
    labels = [_label(claim, known_text, lines, words, case.all_names) for claim in claims]
    if judge is not None:
        labels = _asked(claims, labels, evidence, judge)
    for claim, (label, why) in zip(claims, labels, strict=True):
        if label == "contradicted":
            return f"denied by the evidence ({why}): {claim[:120]!r}"
        if label != "supported" and claim in seen:
            return f"not in the evidence of the picture: {claim[:120]!r}"
    # common knowledge may have no support: a share of MAX_UNSUPPORTED of the claims
    unknown = [claim for claim, (label, _) in zip(claims, labels, strict=True) if label != "supported"]
    if claims and len(unknown) > MAX_UNSUPPORTED * len(claims):
        return (
            f"{len(unknown)} of {len(claims)} statements are not in the evidence, such as"
            f" {unknown[0][:120]!r}"
        )
    return ""


def _strange(chain: Chain, evidence: str, names: Finder | None) -> str:
    """Search for an entity that the chain names and the evidence does not, by any name."""
    if names is None:
        return ""
    evidence_entities = {mention.entity for mention in names.find(evidence)}
    for mention in names.find("\n".join(chain.segments)):
        if (
            mention.entity not in evidence_entities
            and not mention.ambiguous
            and not visible((mention.surface,), evidence)
        ):
            return mention.surface
    return ""


def _unjoined(claims: Sequence[str], case: Case) -> str:
    """Search for a sentence about several entities of the path, one of which no fact of the path joins to
    another.
    """
    assert case.walk is not None
    pairs = {frozenset(pair) for pair in pairwise(case.node_names)} | {
        frozenset(pair) for pair in case.clue_names
    }
    every = sorted({name for pair in pairs for name in pair}, key=len, reverse=True)
    for claim in claims:
        named, remaining = list[str](), claim
        for name in every:  # longer names first: one inside of another is not named by it
            if visible((name,), remaining):
                named.append(name)
                remaining = without((name,), remaining, " ")
        for name_a in named if len(named) > 1 else ():
            if not any(frozenset((name_a, name_b)) in pairs for name_b in named if name_b != name_a):
                return (
                    f"no fact joins {name_a} and {', '.join(name_b for name_b in named if name_b != name_a)}"
                )
    return ""


def _label(
    claim: str, known_text: str, lines: Sequence[str], words: Lexicon, names: Sequence[str]
) -> tuple[str, str]:
    """Label a claim supported, contradicted or neither by the lines of the evidence that are nearest."""
    statement = _bare(claim)
    if nothing := NOTHING.match(claim.strip()):
        inner = _bare(claim.strip()[nothing.end() :])
        return (
            ("contradicted", "it is said")
            if inner and f"| {inner} |" in known_text
            else ("supported", "nobody says it")
        )
    if statement and statement in known_text:
        return "supported", "word for word"
    needed = telling(claim) - SAYING
    # the three lines of the evidence with most telling stems in common
    near = sorted(lines, key=lambda line: -len(needed & telling(line)))[:3]
    if not near or not needed & telling(near[0]):
        return "neither", ""
    if line := next((line for line in near if turned(claim, line, names)), ""):
        return "contradicted", f"it says {line[:80]!r}"
    if (
        (mine := sides(claim))
        and (theirs := sides(near[0]))
        and {*mine, *theirs} >= {"left", "right"}
        and mine != theirs
    ):
        return "contradicted", "the other side"
    claim_numbers, evidence_numbers = (
        {m.group(1) for m in NUMBER.finditer(text)} for text in (CLUTTER.sub("", claim), " ".join(near))
    )
    label, why = entails("\n".join(near), claim, words)
    if label == "contradicted":
        return label, why
    # recall of the claim's telling stems in these lines
    share = len(needed & frozenset().union(*map(telling, near))) / len(needed)
    if claim_numbers - evidence_numbers and share >= 0.5:
        return "contradicted", f"no {min(claim_numbers - evidence_numbers)} there"
    return (
        ("supported", "") if share >= SUPPORTS and not claim_numbers - evidence_numbers else ("neither", "")
    )


def _asked(
    claims: Sequence[str], labels: Sequence[tuple[str, str]], evidence: str, judge: Judge
) -> list[tuple[str, str]]:
    """Ask the judge about the claims that the rules leave open; where it abstains, the label stays."""
    open_ = [i for i, (label, _) in enumerate(labels) if label == "neither"]
    if not open_:
        return list(labels)
    verdicts = judge.ask([Question("claim", evidence, tuple(claims[i] for i in open_))])[0]
    result = list(labels)
    for i, verdict in zip(open_, verdicts, strict=True):
        if verdict.decided:
            result[i] = (verdict.label, verdict.why or verdict.judge)
    return result


def _bare(line: str) -> str:
    return canon(CLUTTER.sub("", line.strip()).replace(",", " "))
