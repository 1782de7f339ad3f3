"""Questions about a new entity that a score cannot decide: whether it is a node of the tree, which of two
parents it has, and of which kind it is (MedXIAOHE).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medxiaohe.entity.literature.attach import Parent
from medxiaohe.entity.literature.cluster import may_be_one
from medxiaohe.entity.literature.kinds import Typed
from medxiaohe.entity.literature.vectors import letter_likeness
from medxiaohe.entity.literature.words import content
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Entity

ALIKE = 0.8  # cosine of letters with a name of the tree, from which a new entity may be that one
NEAR_EQUAL = 0.8  # second score over first
MIN_RIVAL = 0.2  # a second score below this is no rival
SURE_KIND = 0.8  # share of the neighbours that contradict a claimed type
NEAR = 2  # steps up within which two parents that meet are near


@dataclass(frozen=True)
class Option:
    # same: the entity is `id`; child: it is below `id`; both: below all of `id`, split at blanks; kind: its
    # kind is `id`
    do: str
    id: str
    words: str


@dataclass(frozen=True)
class Conflict:
    entity: str
    name: str
    kind: str  # synonym or child; two parents; kind
    question: str
    options: tuple[Option, ...]


def of_kind(entity: Entity, claimed: str, typed: Typed) -> Conflict | None:
    """Conflict about the kind: the extractor claims one, and nearly all neighbours in the tree have another.

    Args:
        entity: the new entity.
        claimed: kind from the extractor; "" where it claims none.
        typed: kind of the nearest names of the tree.

    Returns:
        the question with two options; None where the share of the neighbours is below SURE_KIND
    """
    if not claimed or not typed.kind or typed.kind == claimed or typed.share < SURE_KIND:
        return None
    options = (
        Option("kind", claimed, f"{entity.name} is a {claimed}, as it was extracted"),
        Option("kind", typed.kind, f"{entity.name} is a {typed.kind}, like {', '.join(typed.nearest)}"),
    )
    return Conflict(entity.id, entity.name, "kind", f"Of which kind is {entity.name!r}?", options)


def of_place(entity: Entity, ranking: Sequence[Parent], tree: Tree) -> Conflict | None:
    """Conflict about the position: a synonym or a child, or which of two parents.

    It is raised for a name nearly like that of a candidate that is not contained in it; or for two candidates
    that are far apart and nearly as likely.

    Args:
        entity: the new entity.
        ranking: its candidate parents, highest score first.
        tree: has the candidates.

    Returns:
        the question with two or three options; None where there is no conflict
    """
    if not ranking:
        return None
    alike = min(
        ranking,
        key=lambda parent: (
            -round(letter_likeness(entity.name, tree.entities[parent.id].name), 4),
            parent.id,
        ),
    )
    best = tree.entities[alike.id]
    is_form = set(content(best.name)) < set(content(entity.name))  # "familial X" is below "X"
    is_like = letter_likeness(entity.name, best.name) >= ALIKE and may_be_one(entity.name, best.name)
    if is_like and not is_form and best.id not in tree.roots:
        options = [
            Option("same", best.id, f"{entity.name} is another name of {_said(best)}"),
            Option("child", best.id, f"{entity.name} is a kind of {_said(best)}"),
        ]
        options += [
            Option("child", p, f"{entity.name} is neither, but a kind of {_said(tree.entities[p])}")
            for p in best.parents[:1]
        ]
        return Conflict(
            entity.id,
            entity.name,
            "synonym or child",
            f"What is {entity.name!r} to {best.name!r}?",
            tuple(options),
        )
    if len(ranking) > 1 and ranking[1].score >= max(MIN_RIVAL, NEAR_EQUAL * ranking[0].score):
        a, b = (tree.entities[item.id] for item in ranking[:2])
        if far_apart(a.id, b.id, tree):
            options = [
                Option("child", a.id, f"{entity.name} is a kind of {_said(a)}"),
                Option("child", b.id, f"{entity.name} is a kind of {_said(b)}"),
                Option("both", f"{a.id} {b.id}", f"{entity.name} is a kind of both"),
            ]
            return Conflict(
                entity.id, entity.name, "two parents", f"Where does {entity.name!r} belong?", tuple(options)
            )
    return None


def far_apart(a: str, b: str, tree: Tree) -> bool:
    """Whether two nodes are in different branches of the tree.

    Args:
        a: id of a node.
        b: id of another.
        tree: has both.

    Returns:
        True when neither is an ancestor of the other, and no node but a root is at most NEAR levels above
        both
    """
    if a in tree.ancestors(b) or b in tree.ancestors(a):
        return False
    return not (_near_above(a, tree) & _near_above(b, tree))


def _near_above(id: str, tree: Tree) -> set[str]:
    result, level = {id}, {id}
    for _ in range(NEAR):
        level = {
            parent
            for item in level
            for parent in tree.entities[item].parents
            if tree.entities[parent].parents
        }
        result |= level
    return result


def _said(entity: Entity) -> str:
    return f"{entity.name} ({entity.definition[:150]})" if entity.definition else entity.name


def decided(conflict: Conflict, option: int) -> Mapping[str, str]:
    """Turn a decision about a conflict into its action.

    Args:
        conflict: the question.
        option: number of the option, from 1.

    Returns:
        `do` and `id` of that option

    Raises:
        IndexError: the conflict has fewer options.
    """
    choice = conflict.options[option - 1]
    return {"do": choice.do, "id": choice.id}
