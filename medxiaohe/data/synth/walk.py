"""Multi-hop paths of facts and their verifier, which follows each path again on the tree (MedXIAOHE).

A path starts at a named entity and follows more than five facts, forwards or backwards, to the answer; every
entity after the start is masked. Clues are further facts of masked entities, about named entities. The
candidates for a masked entity are found by following the question: from the start over every fact of the same
predicate to all entities that meet the clues. A question is valid only if one entity is left at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medxiaohe.data.synth.graph import Graph
from medxiaohe.errors import DataError

MORE_THAN = 5  # hops (MedXIAOHE)
MAX_READINGS = 5000  # entities that a masked one could be, at any step


@dataclass(frozen=True, slots=True)
class Step:
    """One fact of a path: `forward` is true from its subject to its object, false for the reverse."""

    subject: str
    predicate: str
    object: str
    forward: bool
    source: str = ""
    license: str = ""

    @property
    def start(self) -> str:
        """Id of the entity that the step starts from.

        Returns:
            The subject of the fact, or its object where the step goes backwards.
        """
        return self.subject if self.forward else self.object

    @property
    def end(self) -> str:
        """Id of the entity that the step leads to.

        Returns:
            The object of the fact, or its subject where the step goes backwards.
        """
        return self.object if self.forward else self.subject


@dataclass(frozen=True, slots=True)
class Clue:
    """A fact of the masked entity number `at` (1 is the first after the start): `forward` is true when
    that entity is the subject.
    """

    at: int
    subject: str
    predicate: str
    object: str
    forward: bool
    source: str = ""
    license: str = ""

    @property
    def named(self) -> str:
        """Id of the entity that the clue names.

        Returns:
            The entity of the fact that is not masked.
        """
        return self.object if self.forward else self.subject


@dataclass(frozen=True, slots=True)
class Walk:
    """A path of facts with its clues."""

    steps: tuple[Step, ...]
    clues: tuple[Clue, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """Ids of the entities along the path.

        Returns:
            The start, then the end of every step.
        """
        return (self.steps[0].start, *(step.end for step in self.steps))

    @property
    def answer(self) -> str:
        """Id of the entity that is asked for.

        Returns:
            The end of the last step.
        """
        return self.steps[-1].end

    def to_json(self) -> dict[str, Any]:
        """Convert the walk to plain JSON, for `provenance.path`.

        Returns:
            `steps` and `clues`, as `walk_from_json` reads them.
        """
        return {
            "steps": [asdict(step) for step in self.steps],
            "clues": [asdict(clue) for clue in self.clues],
        }


def walk_from_json(row: Mapping[str, Any]) -> Walk:
    """Read a walk that `Walk.to_json` wrote.

    Returns:
        The walk; its facts are not checked (`verify`).

    Raises:
        DataError: keys are missing or unknown.
    """
    try:
        return Walk(
            tuple(Step(**step) for step in row["steps"]), tuple(Clue(**clue) for clue in row["clues"])
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"not a path of facts: {error!r}") from error


def verify(walk: Walk, graph: Graph) -> str:
    """Walk every step again on the tree.

    Returns:
        "" if there are more than MORE_THAN hops, every step and clue is a fact of the tree, no entity is
        passed twice and exactly one entity, the answer, meets the question; else what is wrong.
    """
    if len(walk.steps) <= MORE_THAN:
        return f"{len(walk.steps)} hops are not more than {MORE_THAN}"
    for number, step in enumerate(walk.steps, 1):
        if number > 1 and walk.steps[number - 2].end != step.start:
            return f"step {number} starts at {step.start}, not where step {number - 1} ends"
        edge = graph.edge(step.subject, step.predicate, step.object)
        if edge is None:
            return f"step {number} is no fact of the tree: {step.subject} - {step.predicate} - {step.object}"
        if edge.source != step.source:
            return f"step {number} is said by {edge.source}, not by {step.source}"
    if len(set(walk.nodes)) < len(walk.nodes):
        return "an entity is passed twice"
    for clue in walk.clues:
        if not 1 <= clue.at < len(walk.nodes):
            return f"a clue is about entity {clue.at} of {len(walk.nodes) - 1}"
        if (clue.subject if clue.forward else clue.object) != walk.nodes[clue.at]:
            return f"a clue about {walk.nodes[clue.at]} is a fact of another"
        if clue.named in walk.nodes:
            return f"a clue names {clue.named}, which is on the path"
        if graph.edge(clue.subject, clue.predicate, clue.object) is None:
            return f"a clue is no fact of the tree: {clue.subject} - {clue.predicate} - {clue.object}"
    answers = readings(walk, graph)[-1]
    if walk.answer not in answers:
        return "the way of the question does not lead to the answer"
    return "" if len(answers) == 1 else f"{len(answers)} entities meet the question, not one"


def readings(walk: Walk, graph: Graph) -> list[frozenset[str]]:
    """List the entities that each masked one could be: reached by the same predicates, and meeting the clues.

    Returns:
        One set for each step, in order; shorter than the path where a set has more than MAX_READINGS
        entities, the last one.
    """
    sets = [frozenset({walk.steps[0].start})]
    for number, step in enumerate(walk.steps, 1):
        # S(0) is the start; S(i) = entities that the predicate of step i reaches from S(i - 1) ...
        reached = spread(sets[-1], step.predicate, step.forward, graph)
        for clue in walk.clues:
            # ... and that meet every clue about the masked entity i
            if clue.at == number:
                reached &= meets(clue, graph)
        sets.append(reached)
        if len(reached) > MAX_READINGS:
            break
    return sets[1:]


def spread(those: frozenset[str], predicate: str, forward: bool, graph: Graph) -> frozenset[str]:
    """Follow one predicate from every entity of a set.

    Args:
        those: ids to start from.
        predicate: of the facts.
        forward: from subject to object; False: from object to subject.
        graph: facts of the tree.

    Returns:
        The ids reached; incomplete where they are more than MAX_READINGS.
    """
    reached = set[str]()
    for id in those:
        reached.update(graph.reach(id, predicate, forward))
        if len(reached) > MAX_READINGS:
            break
    return frozenset(reached)


def meets(clue: Clue, graph: Graph) -> frozenset[str]:
    """List the entities that a clue is true of.

    Returns:
        Their ids.
    """
    return frozenset(graph.reach(clue.named, clue.predicate, not clue.forward))
