"""Make Samples of synthesised texts and questions: the gold is the last message and the target; the facts
are in `provenance`, which no prompt has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from medxiaohe.data.synth import chains, paths, words
from medxiaohe.data.synth.cards import Card
from medxiaohe.data.synth.choices import Choice
from medxiaohe.data.synth.graph import Edge, Graph
from medxiaohe.data.synth.route import route
from medxiaohe.data.synth.walk import Walk
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.types import Annotations, Message, Provenance, Sample

TEMPLATE = {"writer": "template"}
CARD, CAPTION, CHOICE, PATH = "synth_card", "synth_caption", "synth_choice", "synth_path"
SOURCES = (CARD, CAPTION, CHOICE, PATH)


def card_row(node: str, card: Card, graph: Graph) -> Sample:
    """Make the row of a card, a document.

    Args:
        node: id of the entity that the card is about.
        card: its text and facts.
        graph: facts of the tree.

    Returns:
        A Sample of the source CARD.
    """
    entities = _known(graph, [node, *(fact.object for fact in card.facts)])
    license = words.licenses(*(fact.license for fact in card.facts))
    return Sample(
        f"{CARD}/{node}",
        (Message("document", (card.text,)),),
        entities=entities,
        source=CARD,
        license=license,
        annotations=Annotations(nodes=(node,)),
        provenance=_made("card", map(asdict, card.facts)),
    )


def caption_row(sample: Sample, card: Card, nodes: Sequence[str], graph: Graph) -> Sample:
    """Make the row of a sample whose text is followed by facts.

    Args:
        sample: the row; a caption of an image keeps its messages, any other text becomes a document.
        card: the added sentences with their facts.
        nodes: ids of the thin nodes that the row is for.
        graph: facts of the tree.

    Returns:
        A Sample of the source CAPTION, under the licences of the row and of the facts.
    """
    about = [fact.entity for fact in card.facts]
    provenance = _made("caption", map(asdict, card.facts), made_of=sample.id, made_of_source=sample.source)
    entities = tuple(dict.fromkeys((*sample.entities, *_known(graph, about))))
    license = words.licenses(sample.license, *(fact.license for fact in card.facts))
    if sample.images and sample.messages[-1].role in ("assistant", "document"):
        last = sample.messages[-1]
        messages = (*sample.messages[:-1], Message(last.role, (*last.parts, card.text)))
    else:
        messages = (Message("document", (f"{sample.text}\n\n{card.text}",)),)
    return replace(
        sample, id=f"{CAPTION}/{sample.id}", messages=messages, target="", choices=(), entities=entities,
        source=CAPTION, license=license,
        meta={}, annotations=Annotations(nodes=tuple(nodes)), provenance=provenance,
    )  # fmt: skip


def choice_row(question: Choice, position: int, graph: Graph, chain: bool = True) -> Sample:
    """Make the row of a multiple-choice question, with its chain of thought where `route` asks for one.

    Args:
        question: the question.
        position: index of the right option, from 0; the others keep their order.
        graph: facts of the tree.
        chain: whether the answer may have a chain of thought.

    Returns:
        A Sample of the source CHOICE; the target is a letter.
    """
    tree = graph.tree
    ids = list(question.others)
    ids.insert(position, question.answer)
    names = tuple(tree.entities[id].name for id in ids)
    lines = "\n".join(f"{letter}. {name}" for letter, name in zip(LETTERS, names, strict=False))
    row = Sample(
        f"{CHOICE}/{question.kind}/{question.about}",
        (Message("user", (f"{question.question}\n{lines}\nAnswer with the letter.",)),),
        target=LETTERS[position],
        choices=names,
        entities=_known(graph, [question.about, *ids, *(edge.object for edge in question.facts)]),
        source=CHOICE,
        license=words.licenses(*(tree.entities[id].license for id in (question.about, *ids)),
        *(edge.license for edge in question.facts)),
        annotations=Annotations(nodes=(question.about,)),
        provenance=_made(
            "choice", map(_edge, question.facts), asks=question.kind, options=tuple(ids),
            answer=question.answer, evidence=question.evidence,
        ),
    )  # fmt: skip
    length = route(row) if chain else "none"
    thought = chains.of_choice(question, ids, graph) if length == "long" else None
    return _answered(row, chains.answered(thought, f"{row.target}. {names[position]}"), length)


def path_row(walk: Walk, graph: Graph, chain: bool = True) -> Sample:
    """Make the row of a multi-hop question, with its chain of thought where `route` asks for one.

    Args:
        walk: the verified path.
        graph: facts of the tree.
        chain: whether the answer may have a chain of thought.

    Returns:
        A Sample of the source PATH; the target has every accepted name of the answer, one a line.
    """
    answer = graph.tree.entities[walk.answer]
    edges: tuple[Any, ...] = (*walk.steps, *walk.clues)
    row = Sample(
        f"{PATH}/{len(walk.steps)}/{walk.nodes[0]}",
        (Message("user", (paths.question(walk, graph),)),),
        target="\n".join(dict.fromkeys((answer.name, *answer.synonyms))),
        entities=_known(graph, [*walk.nodes, *(clue.named for clue in walk.clues)]),
        source=PATH,
        license=words.licenses(*(edge.license for edge in edges)),
        annotations=Annotations(nodes=(walk.nodes[0],)),
        provenance=_made("path", (), path=walk.to_json(), answer=walk.answer),
    )
    length = route(row) if chain else "none"
    thought = chains.of_walk(walk, graph) if length == "long" else None
    return _answered(row, chains.answered(thought, answer.name), length)


def _answered(row: Sample, text: str, length: str) -> Sample:
    return replace(
        row,
        messages=(*row.messages, Message("assistant", (text,))),
        provenance=replace(row.provenance, chain=length),
    )


def _made(kind: str, facts: Iterable[Mapping[str, Any]], **details: Any) -> Provenance:
    return Provenance(made=kind, facts=tuple(facts), by=TEMPLATE, **details)


def _edge(edge: Edge) -> dict[str, Any]:
    row = asdict(edge)
    return row if edge.value is not None else {key: value for key, value in row.items() if key != "value"}


def _known(graph: Graph, ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id for id in ids if id in graph.tree))
