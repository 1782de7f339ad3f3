"""Chains of thought of four segments: Understanding, Visual observation or Knowledge recall, Reasoning,
Conclusion (MedXIAOHE).

For a question made from the tree the chain is written without a model, from the facts that decide it; for any
other question a teacher writes it. `parse` is strict: four segments in this order, none empty, nothing around
them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe.data.synth import cards, words
from medxiaohe.data.synth.choices import Choice
from medxiaohe.data.synth.graph import Graph
from medxiaohe.data.synth.walk import Walk
from medxiaohe.scoring.choice import LETTERS

OBSERVATION, RECALL = "Visual observation", "Knowledge recall"
HEADINGS = ("Understanding", f"(?:{OBSERVATION}|{RECALL})", "Reasoning", "Conclusion")
FORM = re.compile(r"\s*" + r"\s+".join(rf"({heading}):\s*(.+?)" for heading in HEADINGS) + r"\s*", re.DOTALL)
HEADING = re.compile(rf"^\s*(?:Understanding|{OBSERVATION}|{RECALL}|Reasoning|Conclusion):", re.MULTILINE)
THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*(.*?)\s*", re.DOTALL)
MAX_TOLD = 160  # characters of a definition that an option is told apart by


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of thought of four segments."""

    understanding: str
    recall: str  # what is seen in the picture, or known
    reasoning: str
    conclusion: str
    seen: bool = False  # the second segment is about the picture

    @property
    def text(self) -> str:
        """The chain as text, as `parse` reads it.

        Returns:
            Four lines or more, each segment after its heading.
        """
        second = OBSERVATION if self.seen else RECALL
        pairs = zip(("Understanding", second, "Reasoning", "Conclusion"), self.segments, strict=True)
        return "\n".join(f"{heading}: {text}" for heading, text in pairs)

    @property
    def segments(self) -> tuple[str, str, str, str]:
        """The four segments without their headings.

        Returns:
            Understanding, observation or recall, reasoning, conclusion.
        """
        return self.understanding, self.recall, self.reasoning, self.conclusion


def parse(text: str) -> Chain | None:
    """Parse a chain strictly: four headings in order, none empty, nothing around them.

    Returns:
        The chain; None where the text has another form.
    """
    if len(HEADING.findall(text)) != len(HEADINGS) or not (match := FORM.fullmatch(text)):
        return None
    _, understanding, second, recall, _, reasoning, _, conclusion = (
        group.strip() for group in match.groups()
    )
    return Chain(understanding, recall, reasoning, conclusion, second == OBSERVATION)


def split(reply: str) -> tuple[Chain | None, str]:
    """Separate the chain of a reply from its answer.

    Returns:
        (chain inside <think>, text after it); (None, reply) without a readable chain.
    """
    match = THOUGHT.fullmatch(reply)
    chain = parse(match[1]) if match else None
    return (chain, match[2]) if match and chain else (None, reply)


def answered(chain: Chain | None, answer: str) -> str:
    """Write the message of the assistant.

    Args:
        chain: the thought; None: the answer alone.
        answer: the answer.

    Returns:
        The chain between <think> and </think>, then the answer on the next line.
    """
    return f"<think>\n{chain.text}\n</think>\n{answer}" if chain else answer


def of_walk(walk: Walk, graph: Graph) -> Chain:
    """Write the chain of a multi-hop question from the facts of its path.

    Returns:
        The chain: all facts but the last are recalled, then each step names its masked entity.
    """
    name = {id: graph.tree.entities[id].name for id in walk.nodes}
    last = len(walk.steps)
    facts = [words.fact(step.predicate, name[step.subject], name[step.object]) for step in walk.steps]
    clues = {
        number: [words.fact(c.predicate, *_pair(c.forward, name[walk.nodes[number]],
        graph.tree.entities[c.named].name))
                 for c in walk.clues if c.at == number]
        for number in range(1, last + 1)
    }  # fmt: skip
    recalled = [f"{text}." for n, fact in enumerate(facts[:-1], 1) for text in (fact, *clues[n])]
    steps = [
        f"Step {n}: {facts[n - 1]}{''.join(f', and {c}' for c in clues[n])}, so X{n} is"
        f" {name[walk.nodes[n]]}."
        for n in clues
    ]
    start, kind = name[walk.nodes[0]], words.kind(walk.answer, graph.tree)
    return Chain(
        f"The way starts at {start} and goes over {last} facts; the {kind} at its end is asked for.",
        " ".join(recalled),
        " ".join(steps),
        f"X{last} is {name[walk.answer]}.",
    )


def of_choice(question: Choice, options: Sequence[str], graph: Graph) -> Chain:
    """Write the chain of a multiple-choice question from the tree.

    Args:
        question: the question with its options.
        options: ids in the order they are asked in.
        graph: facts of the tree.

    Returns:
        The chain: one fact about each option is recalled, then each wrong one is ruled out.
    """
    tree = graph.tree
    name = {id: tree.entities[id].name for id in (*options, question.about)}
    letter = LETTERS[options.index(question.answer)]
    descriptions = {id: _told(id, graph) for id in options}
    recalled = " ".join(f"{LETTERS[i]}. {descriptions[id] or name[id] + '.'}" for i, id in enumerate(options))
    others = [id for id in options if id != question.answer]
    if question.kind == "meaning":
        understanding = "A meaning is given, and the one of four options that it describes is asked for."
        reasons = [
            f"{name[id]} is something else: {descriptions[id]}"
            if descriptions[id]
            else f"Nothing ties {name[id]} to it."
            for id in others
        ]
        reasons.append(f"The description fits {name[question.answer]}.")
    elif question.kind == "facts":
        understanding = (
            "Several facts are given, and the one of four options of which all are known is asked for."
        )
        reasons = [_lacks(id, question, graph) for id in others]
        stated = " and ".join(
            words.fact(e.predicate, name[question.answer], tree.entities[e.object].name)
            for e in question.facts
        )
        reasons.append(f"All of them are known of {name[question.answer]}: {stated}.")
    else:
        understanding = f"The group that {name[question.about]} belongs to is asked for."
        reasons = [f"Nothing says that {name[question.about]} is a kind of {name[id]}." for id in others]
        reasons.append(f"{words.fact('is a', name[question.about], name[question.answer])}.")
    return Chain(
        understanding, recalled, " ".join(reasons), f"The answer is {letter}, {name[question.answer]}."
    )


def _pair(forward: bool, masked: str, named: str) -> tuple[str, str]:
    return (masked, named) if forward else (named, masked)


def _told(id: str, graph: Graph) -> str:
    """Describe an option by its first fact, cut to a sentence."""
    about = cards.facts(id, graph, most=1)
    text = about[0].text if about else ""
    return text if len(text) <= MAX_TOLD else text[:MAX_TOLD].rsplit(" ", 1)[0].rstrip(",;:.") + " ..."


def _lacks(id: str, question: Choice, graph: Graph) -> str:
    """Say the first of the question's facts that the option does not have."""
    missing = next(e for e in question.facts if graph.edge(id, e.predicate, e.object) is None)
    return (
        "Nothing says that"
        f" {words.fact(missing.predicate, graph.tree.entities[id].name, graph.tree.entities[missing.object].name)}."  # noqa: E501
    )
