"""Verbalise the facts of a tree in English: one sentence a fact, the same words every time."""

from __future__ import annotations

from medxiaohe.data.synth.graph import IS_A, Edge
from medxiaohe.entity.tree.tree import Tree

SAID = {
    IS_A: "{a} is a kind of {b}",
    "has phenotype": "{a} can show {b}",
    "has symptom": "{a} has the symptom {b}",
    "part of": "{a} is part of {b}",
    "located in": "{a} is located in {b}",
    "has part": "{a} has the part {b}",
    "has role": "{a} has the role {b}",
    "develops from": "{a} develops from {b}",
    "branching part of": "{a} is a branch of {b}",
    "adjacent to": "{a} is adjacent to {b}",
    "attached to": "{a} is attached to {b}",
    "continuous with": "{a} is continuous with {b}",
    "innervated by": "{a} is innervated by {b}",
    "tributary of": "{a} is a tributary of {b}",
    "composed primarily of": "{a} is mostly made of {b}",
    "contributes to morphology of": "{a} shapes {b}",
    "has potential to develop into": "{a} can develop into {b}",
    "produced by": "{a} is produced by {b}",
    "has functional parent": "{a} is derived from {b}",
    "capable of": "{a} is capable of {b}",
}
KIND = {"phenotype": "sign", "anatomy": "structure", "chemical": "substance"}


def fact(predicate: str, a: str, b: str) -> str:
    """Say a fact in English, without a full stop.

    Args:
        predicate: of the fact; one that is not in SAID is used as the verb.
        a: name of the subject.
        b: name of the object.

    Returns:
        A clause such as "asthma can show wheezing".
    """
    return SAID.get(predicate, f"{{a}} {predicate} {{b}}").format(a=a, b=b)


def sentence(edge: Edge, tree: Tree) -> str:
    """Say a fact of the tree in English.

    Returns:
        A sentence with a full stop.
    """
    return f"{fact(edge.predicate, tree.entities[edge.subject].name, tree.entities[edge.object].name)}."


def kind(id: str, tree: Tree) -> str:
    """Return the noun for an entity whose name is not said.

    Returns:
        The kind of the entity, such as "disease"; "sign" for a phenotype.
    """
    return KIND.get(tree.entities[id].kind, tree.entities[id].kind)


def licenses(*several: str) -> str:
    """Join the licences of the parts of a row, each once.

    Args:
        *several: licences, or lists of them joined by "; ".

    Returns:
        The licences in order, joined by "; ".
    """
    return "; ".join(dict.fromkeys(license for text in several for license in text.split("; ") if license))
