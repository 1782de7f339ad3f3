"""Make multiple-choice questions from the tree, with siblings of the answer as distractors (arXiv
2604.25296).

    meaning   which option does a definition describe, in which the answer's names are masked
    facts     which option has all of some facts that no distractor has all of
    group     to which of these broader groups does an entity belong

A distractor is never a synonym, an ancestor or a descendant of the answer, and the question is not true of
it. The question never contains a name of the answer, nor a word of it that the other options lack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from medxiaohe import io
from medxiaohe.data.synth import words
from medxiaohe.data.synth.graph import IS_A, Edge, Graph, siblings
from medxiaohe.data.synth.names import given_away, names_of, telling, visible, without
from medxiaohe.data.synth.paths import Refused
from medxiaohe.scoring._equivalence import canon

NUM_OPTIONS = 4
KINDS = ("meaning", "facts", "group")
NUM_FACTS = 3
MIN_DEFINITION, MAX_DEFINITION = 40, 600  # characters
MAX_SIBLINGS = 200  # looked at, by lot


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with its answer and three distractors, as ids; `facts` are the facts that decide it."""

    kind: str
    about: str
    question: str
    answer: str
    others: tuple[str, ...]
    facts: tuple[Edge, ...] = ()
    evidence: str = ""  # the definition that was asked about, as the tree has it


def choices(id: str, graph: Graph, kinds: Sequence[str] = KINDS, seed: int = 0) -> Iterator[Choice | Refused]:
    """Make multiple-choice questions about an entity.

    Args:
        id: of the entity.
        graph: facts of the tree.
        kinds: of questions, from KINDS.
        seed: seed of the choice of facts and siblings.

    Yields:
        For each kind, in order, a question, or why it cannot be made.
    """
    makers = {"meaning": _meaning, "facts": _facts, "group": _group}
    for kind in kinds:
        result = makers[kind](id, graph, seed)
        if isinstance(result, Choice) and (why := wrong(result, graph))[0]:
            result = Refused(*why)
        yield result if isinstance(result, Choice) else Refused(f"{kind}: {result.reason}", result.detail)


def wrong(question: Choice, graph: Graph) -> tuple[str, str]:
    """Check a multiple-choice question: options that differ, none a synonym, ancestor or descendant of the
    answer, and no name or telling word of the answer in the question.

    Returns:
        ("", "") if it can be used; else (reason, detail).
    """
    tree, answer = graph.tree, graph.tree.entities[question.answer]
    names = {canon(name) for name in (answer.name, *answer.synonyms)}
    above = set(tree.ancestors(question.answer))
    if len({canon(tree.entities[id].name) for id in (question.answer, *question.others)}) < NUM_OPTIONS:
        return "two options of one name", ""
    for id in question.others:
        option = tree.entities[id]
        if names & {canon(name) for name in (option.name, *option.synonyms)}:
            return "an option is a synonym of the answer", id
        if id in above or question.answer in tree.ancestors(id):
            return "an option is above or below the answer", id
    if name := visible(names_of(answer), question.question):
        return "the question names the answer", name
    if word := given_away(answer.name, [tree.entities[id].name for id in question.others], question.question):
        return "a word gives the answer away", word
    return "", ""


def _meaning(id: str, graph: Graph, seed: int) -> Choice | Refused:
    tree, entity = graph.tree, graph.tree.entities[id]
    if not MIN_DEFINITION <= len(entity.definition) <= MAX_DEFINITION:
        return Refused("no definition of a fit length")
    others = _three(
        id, graph, seed, lambda option: tree.entities[option].definition.strip() != entity.definition.strip()
    )
    if len(others) < NUM_OPTIONS - 1:
        return Refused("fewer than three siblings")
    # mask the names of the answer in its definition
    text = without(names_of(entity), entity.definition, "[...]")
    # and words that the answer shares with its definition and with no other option
    revealing = telling(entity.name) & telling(text) - frozenset().union(
        *(telling(tree.entities[option].name) for option in others)
    )
    if revealing:
        text = " ".join("[...]" if telling(word) & revealing else word for word in text.split())
    if len(telling(text)) < 4:
        return Refused("nothing is left of the definition")
    question = f"Which of these {_plural(words.kind(id, tree))} is meant?\n{text}"
    return Choice("meaning", id, question, id, others, evidence=entity.definition)


def _facts(id: str, graph: Graph, seed: int) -> Choice | Refused:
    edges = [edge for edge in graph.out.get(id, ()) if edge.predicate != IS_A]
    if len(edges) < 2:
        return Refused("fewer than two facts")
    names = names_of(graph.tree.entities[id])
    edges = [edge for edge in edges if not visible(names, graph.tree.entities[edge.object].name)]
    # facts that fewest entities share come first, ties by hash
    order = sorted(
        edges,
        key=lambda e: (
            len(graph.reach(e.object, e.predicate, False)),
            io.unit_interval(str(seed), id, e.object),
        ),
    )
    # of the most telling ones NUM_FACTS by hash, so that questions differ by seed
    chosen = sorted(order[: 2 * NUM_FACTS], key=lambda e: io.unit_interval(str(seed), "fact", id, e.object))[
        :NUM_FACTS
    ]
    if len(chosen) < 2:
        return Refused("fewer than two facts")

    def has_not_all(option: str) -> bool:
        own = {option, *graph.tree.children(option)}
        return not all(own & set(graph.reach(edge.object, edge.predicate, False)) for edge in chosen)

    others = _three(id, graph, seed, has_not_all)
    if len(others) < NUM_OPTIONS - 1:
        return Refused("fewer than three siblings")
    kind = words.kind(id, graph.tree)
    statements = "; ".join(
        words.fact(edge.predicate, "it", graph.tree.entities[edge.object].name) for edge in chosen
    )
    return Choice(
        "facts", id, f"Of which {kind} are all of these facts known: {statements}?", id, others, tuple(chosen)
    )


def _group(id: str, graph: Graph, seed: int) -> Choice | Refused:
    tree, roots = graph.tree, set(graph.tree.roots)
    above = set(tree.ancestors(id))
    for parent in sorted(
        (group for group in tree.entities[id].parents if group not in roots),
        key=lambda p: io.unit_interval(str(seed), id, p),
    ):
        others = _three(parent, graph, seed, lambda option: option not in above and option != id)
        edge = graph.edge(id, IS_A, parent)
        if len(others) == NUM_OPTIONS - 1 and edge is not None:
            question = f"To which of these groups does {tree.entities[id].name} belong?"
            return Choice("group", id, question, parent, others, (edge,))
    return Refused("fewer than three siblings", "of its group")


def _three(id: str, graph: Graph, seed: int, fits: Callable[[str], bool]) -> tuple[str, ...]:
    """Draw up to three suitable siblings at random, no two of the same name."""
    tree = graph.tree
    selected, names = list[str](), {canon(name) for name in names_of(tree.entities[id])}
    order = sorted(
        siblings(tree, id), key=lambda candidate: io.unit_interval(str(seed), "sibling", id, candidate)
    )
    for candidate in order[:MAX_SIBLINGS]:
        own = {canon(name) for name in (tree.entities[candidate].name, *tree.entities[candidate].synonyms)}
        if names & own or tree.entities[candidate].kind != tree.entities[id].kind or not fits(candidate):
            continue
        if any(
            candidate in tree.ancestors(chosen) or chosen in tree.ancestors(candidate) for chosen in selected
        ):
            continue  # of two options one above the other, both or none would be right
        selected.append(candidate)
        names |= own
        if len(selected) == NUM_OPTIONS - 1:
            break
    return tuple(selected)


def _plural(kind: str) -> str:
    return kind + ("es" if kind.endswith("s") else "s")
