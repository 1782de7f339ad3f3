"""Make multi-hop questions over more than five facts of the tree, with the entities in between masked
(MedXIAOHE; arXiv 2604.25296).

The path is drawn at random from a thin entity, with a preference for facts that few others share. Then clues
are added, each the fact of a masked entity that leaves fewest candidates, until one answer is left. The paper
masks intermediate attributes; we mask every entity after the start and give its kind, so that a question can
be answered only by following the whole path.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from medxiaohe.data.synth import words
from medxiaohe.data.synth.graph import IS_A, Edge, Graph
from medxiaohe.data.synth.names import names_of, share_a_name, visible
from medxiaohe.data.synth.walk import MAX_READINGS, MORE_THAN, Clue, Step, Walk, meets, spread, verify
from medxiaohe.errors import ConfigError

TRIES = 20  # walks from one start
FEW = 40  # readings of a masked entity in the middle that need no clue
MAX_CLUES, MAX_CLUES_OF_ONE = 5, 2
MAX_KINSHIP = 2  # steps in a row from a kind to its group or back
LOWEST = 3  # layer of a group that a path may pass
MAX_FACTS = 60  # of a masked entity that are tried as clues
SKIPPED_KINDS = frozenset({"gene", "organism", "quality", "gene product", "other"})


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a path, question or card could not be made: `reason` is counted, `detail` is for people."""

    reason: str
    detail: str = ""


def path(start: str, graph: Graph, hops: int = MORE_THAN + 1, seed: int = 0) -> Walk | Refused:
    """Draw a multi-hop path from an entity, add clues until one answer is left, and verify it.

    Args:
        start: id of the entity that the question names.
        graph: facts of the tree.
        hops: number of facts of the path, more than MORE_THAN.
        seed: seed of the draw; it depends on `start` too.

    Returns:
        The verified walk; or, after TRIES draws, the reason that most of them failed for.

    Raises:
        ConfigError: `hops` is not more than MORE_THAN.
    """
    if hops <= MORE_THAN:
        raise ConfigError(f"a path must have more than {MORE_THAN} hops, not {hops}")
    dice = random.Random(f"{seed}/path/{start}")
    reasons: list[Refused] = []
    for _ in range(TRIES):
        steps = _draw(start, graph, hops, dice)
        if len(steps) < hops:
            reasons.append(Refused("no way on", f"after {len(steps)} hops"))
            continue
        walk = _clued(Walk(tuple(steps)), graph)
        if isinstance(walk, Refused):
            reasons.append(walk)
            continue
        if why := verify(walk, graph) or hidden(walk, graph):
            reasons.append(Refused("not verified", why))
            continue
        return walk
    return max(reasons, key=lambda refused: sum(another.reason == refused.reason for another in reasons))


def question(walk: Walk, graph: Graph) -> str:
    """Write the question of a walk: the start and the clues are named, every other entity is X1, X2 and so
    on.

    Returns:
        One fact a line, then the question.
    """
    tree = graph.tree
    say = {id: f"X{number}" for number, id in enumerate(walk.nodes) if number}
    say[walk.nodes[0]] = tree.entities[walk.nodes[0]].name
    lines = [f"X1 to X{len(walk.steps)} stand for entities that are not named. These are facts:"]
    for number, step in enumerate(walk.steps, 1):
        statement = words.fact(step.predicate, say[step.subject], say[step.object])
        lines.append(f"{number}. {statement}, and X{number} is a {words.kind(step.end, tree)}.")
    for clue in walk.clues:
        named = tree.entities[clue.named].name
        a, b = (f"X{clue.at}", named) if clue.forward else (named, f"X{clue.at}")
        lines.append(f"Also, {words.fact(clue.predicate, a, b)}.")
    return "\n".join([*lines, f"Which {words.kind(walk.answer, tree)} is X{len(walk.steps)}?"])


def hidden(walk: Walk, graph: Graph) -> str:
    """Check that the question does not give the answer away.

    Returns:
        "" if no masked entity is named in it, no single fact joins start and answer, and no two entities of
        the path share a name; else what is wrong.
    """
    text = question(walk, graph)
    entities = [graph.tree.entities[id] for id in walk.nodes]
    for number, entity in enumerate(entities):
        if twin := next((earlier for earlier in entities[:number] if share_a_name(entity, earlier)), None):
            return f"{twin.id} and {entity.id} have a name in common"
    named = [graph.tree.entities[id].name for id in (*walk.nodes[:-1], *(clue.named for clue in walk.clues))]
    if inside := next((name for name in named if visible(names_of(entities[-1]), name)), ""):
        return f"the answer's name is part of {inside}"
    for id in walk.nodes[1:]:
        if name := visible(names_of(graph.tree.entities[id]), text):
            return f"the question names {name}, which is masked"
    start, answer = walk.nodes[0], walk.answer
    if any(answer in (edge.subject, edge.object) for edge in _around(start, graph)):
        return "a single fact leads from the start to the answer"
    return ""


def _draw(start: str, graph: Graph, hops: int, dice: random.Random) -> list[Step]:
    steps, seen, here = list[Step](), {start}, start
    while len(steps) < hops:
        ways = [
            step for edge in _around(here, graph)
            if (step := _step(edge,
            here)).end not in seen and graph.tree.entities[step.end].kind not in SKIPPED_KINDS
            and not (edge.predicate == IS_A and graph.tree.layer(edge.object) < LOWEST)
        ]  # fmt: skip
        # up and up is no reasoning
        if [step.predicate for step in steps[-MAX_KINSHIP:]] == [IS_A] * MAX_KINSHIP:
            ways = [way for way in ways if way.predicate != IS_A]
        if steps:  # over the same kind of fact back and forth leads to everything
            ways = [
                way
                for way in ways
                if (way.predicate, way.forward) != (steps[-1].predicate, not steps[-1].forward)
            ] or ways
        if not ways:
            break
        # a step that few others share (small fan-in m) is likelier: weight 1 / sqrt(1 + m)
        weights = [1 / (1 + len(graph.reach(way.end, way.predicate, not way.forward))) ** 0.5 for way in ways]
        step = dice.choices(ways, weights)[0]
        steps.append(step)
        seen.add(step.end)
        here = step.end
    return steps


def _around(id: str, graph: Graph) -> Iterator[Edge]:
    yield from graph.out.get(id, ())
    yield from graph.into.get(id, ())


def _step(edge: Edge, here: str) -> Step:
    return Step(edge.subject, edge.predicate, edge.object, edge.subject == here, edge.source, edge.license)


def _clued(walk: Walk, graph: Graph) -> Walk | Refused:
    """Add as few clues as leave one answer."""
    clues, possible = list[Clue](), frozenset({walk.nodes[0]})
    for number, step in enumerate(walk.steps, 1):
        # entities that the masked one could be after this step, S(number)
        possible = spread(possible, step.predicate, step.forward, graph)
        if len(possible) > MAX_READINGS:
            return Refused("too many readings", f"{len(possible)} at step {number}")
        last = number == len(walk.steps)
        for _ in range(MAX_CLUES_OF_ONE):
            if len(possible) <= (1 if last else FEW) or len(clues) == MAX_CLUES:
                break
            # greedy: the clue that leaves fewest of them; the last entity must be the only one
            best = _best_clue(walk, number, possible, clues, graph)
            if best is None:
                break
            clues.append(best)
            possible &= meets(best, graph)
        if last and len(possible) > 1:
            return Refused("not unique", f"{len(possible)} answers")
    return Walk(walk.steps, tuple(clues))


def _best_clue(
    walk: Walk, number: int, possible: frozenset[str], clues: list[Clue], graph: Graph
) -> Clue | None:
    node, best, fewest = walk.nodes[number], None, len(possible)
    masked = [names_of(graph.tree.entities[id]) for id in walk.nodes[1:]]
    for edge in list(_around(node, graph))[:MAX_FACTS]:
        clue = Clue(
            number, edge.subject, edge.predicate, edge.object, edge.subject == node, edge.source, edge.license
        )
        if clue.named in walk.nodes or clue in clues:
            continue
        # entities of S(number) that meet the clue; a clue must exclude some and name no masked entity
        rest = len(possible & meets(clue, graph))
        if rest < fewest and not any(
            visible(names, graph.tree.entities[clue.named].name) for names in masked
        ):
            best, fewest = clue, rest
    return best
