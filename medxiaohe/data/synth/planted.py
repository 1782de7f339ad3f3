"""Plant mismatches to measure the recall of alignment: the text is changed, the anchors are not.

    sibling     every mention of one entity becomes a sibling of it in the tree
    side        left becomes right and right becomes left
    unrelated   the text is that of another study

Where a mismatch cannot be planted in an item (it names no side, or no entity with a sibling), the result is
None and does not count as a pass.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from medxiaohe.data.synth.anchors import Item
from medxiaohe.data.synth.graph import Graph, siblings
from medxiaohe.data.synth.mismatch import KINDS as ENTITIES
from medxiaohe.data.synth.mismatch import LOWEST
from medxiaohe.data.synth.names import visible
from medxiaohe.entity.linking.finder import Finder
from medxiaohe.entity.linking.link import Mention

KINDS = ("sibling", "side", "unrelated")
SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
TRIES = 8  # siblings by lot


def sibling(item: Item, graph: Graph, names: Finder, dice: random.Random) -> Item | None:
    """Replace every mention of one entity by a sibling of it, preferably of an entity that the anchors name
    too.

    Args:
        item: the row to change.
        graph: facts of the tree.
        names: finder of its entities.
        dice: random generator.

    Returns:
        The changed item; None where no entity has a sibling that text and anchors do not name.
    """
    tree = graph.tree
    mentions = [
        m for m in names.find(item.text) if not m.ambiguous and tree.entities[m.entity].kind in ENTITIES
    ]
    anchor_ids = {m.entity for m in names.find(item.anchor)}
    order = sorted(dict.fromkeys(m.entity for m in mentions), key=lambda id: (id not in anchor_ids, id))
    for id in order:
        kin = [
            twin
            for twin in siblings(tree, id)
            if any(tree.layer(p) >= LOWEST for p in tree.entities[twin].parents)
        ]
        for twin in dice.sample(kin, min(TRIES, len(kin))):
            name = tree.entities[twin].name
            if not visible((name,), f"{item.text}\n{item.anchor}") and len(name) > 2:
                return replace(item, text=_replaced(item.text, [m for m in mentions if m.entity == id], name))
    return None


def side(item: Item) -> Item | None:
    """Exchange left and right in the text of an item.

    Returns:
        The changed item; None where no side is named.
    """
    if not SIDE.search(item.text):
        return None
    return replace(item, text=SIDE.sub(_other, item.text))


def unrelated(
    item: Item, others: Sequence[Item], studies: dict[str, str], dice: random.Random
) -> Item | None:
    """Replace the text of an item by that of a row of another study.

    Args:
        item: the row to change.
        others: rows to take the text from.
        studies: item id -> study.
        dice: random generator.

    Returns:
        The changed item; None where TRIES draws gave no other text of another study.
    """
    for _ in range(TRIES):
        donor = others[dice.randrange(len(others))]
        if studies[donor.id] != studies[item.id] and donor.text != item.text:
            return replace(item, text=donor.text)
    return None


def _replaced(text: str, mentions: Sequence[Mention], name: str) -> str:
    for mention in sorted(mentions, key=lambda m: -m.start):
        text = text[: mention.start] + name + text[mention.end :]
    return text


def _other(match: re.Match[str]) -> str:
    word = "right" if match[0].lower() == "left" else "left"
    return word.upper() if match[0].isupper() else word.capitalize() if match[0][0].isupper() else word
