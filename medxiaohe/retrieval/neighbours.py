"""Rank the neighbourhood of a text's entities in a graph: facts between them, and nodes that may matter
next.

A neighbour scores specificity times evidence:

    score(n) = log(N / degree(n)) * sum over mentioned m linked to n of 1 / log(2 + degree(m))

N is the number of nodes. A hub that is linked to everything says little of any of them, whichever end of the
fact it is (Adamic and Adar 2003, for the sum). benchmarks/pathway.py compares it with a ranking by
popularity.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from medxiaohe.entity.linking.context import contexts
from medxiaohe.retrieval.graph import GraphStore
from medxiaohe.types import Evidence

MOST_FACTS = 2000  # of a node: beyond them it is too general for its neighbours to say anything


@dataclass(frozen=True)
class Around:
    """Entities of a text and their neighbourhood in a graph.

    Attributes:
        entities: names of the nodes that the text mentions and does not deny.
        denied: those that it denies.
        direct: facts between two of the entities.
        potential: names of other nodes, best first.
        scores: of `potential`.
    """

    entities: tuple[str, ...]
    denied: tuple[str, ...]
    direct: tuple[Evidence, ...]
    potential: tuple[str, ...]
    scores: tuple[float, ...]


def around(graph: GraphStore, text: str, top: int = 50) -> Around:
    """Look up the facts between the entities of a text, and rank their neighbours in the graph.

    Args:
        graph: the store.
        text: such as a dialogue so far.
        top: neighbours that are returned.

    Returns:
        entities that the text mentions and those that it negates, facts between mentioned entities, and
        at most `top` neighbours with their scores, best first.
    """
    mentions = graph.mentions(text.casefold())
    spans = list(dict.fromkeys((start, end) for start, end, _ in mentions))
    # mentions that the text negates ("no fever") are not followed
    negated = {span for span, context in zip(spans, contexts(text, spans), strict=True) if context.negated}
    denied = {node for start, end, node in mentions if (start, end) in negated}
    nodes = list(dict.fromkeys(node for *_, node in mentions if node not in denied))
    inside, mentioned = set(nodes), {node for *_, node in mentions}
    direct: dict[str, Evidence] = {}
    evidence: dict[int, float] = defaultdict(float)
    for node in nodes:
        degree = graph.degree(node)
        if degree > MOST_FACTS:
            continue
        for neighbour in graph.neighbours(node) - mentioned:
            # sum of 1 / log(2 + degree(m)) over the mentioned nodes m
            evidence[neighbour] += 1 / math.log(2 + degree)
        if graph.neighbours(node) & inside:
            direct |= {fact.id: fact for neighbour, fact in graph.edges(node) if neighbour in inside}
    size = int(graph.record["nodes"])
    # specificity log(N / degree(n)) times evidence
    scored = {node: math.log(size / max(1, graph.degree(node))) * share for node, share in evidence.items()}
    best = sorted(scored, key=lambda node: (-scored[node], node))[:top]
    return Around(
        tuple(dict.fromkeys(map(graph.name, nodes))),
        tuple(dict.fromkeys(map(graph.name, sorted(denied)))),
        tuple(direct.values()),
        tuple(map(graph.name, best)),
        tuple(round(scored[node], 6) for node in best),
    )
