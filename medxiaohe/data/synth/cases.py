"""Make a case of a row for the checks of its chain of thought: question, names of the answer, evidence."""

from __future__ import annotations

from typing import Any

from medxiaohe.data.synth import cards, words
from medxiaohe.data.synth.checks import Case
from medxiaohe.data.synth.graph import Graph
from medxiaohe.data.synth.names import names_of
from medxiaohe.data.synth.walk import Walk, walk_from_json
from medxiaohe.scoring._text import golds
from medxiaohe.scoring.choice import LETTERS, letter_of
from medxiaohe.types import Sample

MAX_FACTS = 12  # of an option


def case(sample: Sample, graph: Graph | None = None) -> Case:
    """Make what the checks of a thought need to know about a row.

    Args:
        sample: the row.
        graph: facts of the tree, for rows made from it; None: those are treated as any other row.

    Returns:
        Question, names of the answer and evidence: of a row made from the tree its facts, of any other row
        its `provenance.evidence` and, without options, its answer.

    Raises:
        DataError: the stored path cannot be read.
    """
    question = "\n".join(message.text for message in sample.prompt.messages if message.role == "user")
    provenance = sample.provenance
    if provenance.path is not None and graph is not None:
        return _of_walk(question, walk_from_json(provenance.path), graph)
    if provenance.made == "choice" and graph is not None:
        return _of_choice(question, sample, graph)
    evidence = provenance.evidence
    if sample.choices:
        return Case(question, (sample.choices[_place(sample)],), sample.target, sample.choices, evidence)
    return Case(
        question,
        golds(sample) or (sample.messages[-1].text,),
        evidence=f"{evidence}\n{sample.messages[-1].text}",
    )


def _of_walk(question: str, walk: Walk, graph: Graph) -> Case:
    name = {id: graph.tree.entities[id].name for id in (*walk.nodes, *(clue.named for clue in walk.clues))}
    edges: tuple[Any, ...] = (*walk.steps, *walk.clues)
    facts = [f"{words.fact(edge.predicate, name[edge.subject], name[edge.object])}." for edge in edges]
    clues = tuple((name[walk.nodes[clue.at]], name[clue.named]) for clue in walk.clues)
    nodes = tuple(name[id] for id in walk.nodes)
    answer = graph.tree.entities[walk.answer]
    return Case(
        question, names_of(answer), evidence="\n".join(facts), walk=walk, node_names=nodes, clue_names=clues
    )


def _of_choice(question: str, sample: Sample, graph: Graph) -> Case:
    provenance = sample.provenance
    facts = [fact.text for id in provenance.options for fact in cards.facts(id, graph, most=MAX_FACTS)]
    name = {
        f[end]: graph.tree.entities[f[end]].name for f in provenance.facts for end in ("subject", "object")
    }
    question_facts = [
        f"{words.fact(f['predicate'], name[f['subject']], name[f['object']])}." for f in provenance.facts
    ]
    names = tuple(names_of(graph.tree.entities[provenance.answer]))
    return Case(
        question,
        names,
        sample.target,
        sample.choices,
        "\n".join([*facts, *question_facts, provenance.evidence]),
    )


def _place(sample: Sample) -> int:
    return LETTERS.index(letter_of(sample))
