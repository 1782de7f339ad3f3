"""Replies that state the same facts in another form: what a reward must not tell apart (MedXIAOHE).

    order      the sentences of a paragraph in another order, where none refers back to another
    list       prose as a list, or a list as prose
    wording    names of the tree replaced by synonyms of the same entity (`names` from `synonyms(tree)`)
    length     a sentence in front and behind that says nothing
    form       capitals, spaces and Markdown

`spread` measures how far apart a reward puts them; `pairs` adds them to preference pairs, so that a reward
model trained on those sees each fact in several forms on both sides. The paper names order, length and
wording, and not how the variants were made.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from medxiaohe.entity.tree.tree import Tree
from medxiaohe.scoring._sentences import sentences

Names = Mapping[str, tuple[str, ...]]
KINDS = ("order", "list", "wording", "length", "form")
# A sentence that leans on the one before it keeps its place, and so does everything around it.
REFERS = re.compile(
    r"^\W*(?:it|this|that|these|those|they|he|she|but|and|or|so|however|therefore|thus|hence|then|also|otherwise|instead|because|first|second"
    r"|third|next|finally|answer|the answer)\b|^\W*(?:它|这|那|但|因此|所以|然后|答案)",
    re.IGNORECASE,
)
BEFORE = ("Here is what I can say.", "Let me go through this.", "Thank you for the question.")
AFTER = (
    "That is all there is to say.",
    "I hope that this is clear.",
    "Please ask if something is left open.",
)
BULLET = re.compile(r"^\s*[-*•]\s+")


def variants(
    reply: str, seed: int = 0, names: Names | None = None, kinds: Sequence[str] = KINDS
) -> Iterator[tuple[str, str]]:
    """(kind, another form) for each kind that applies to the reply and changes it; the same for the same
    seed.

    Args:
        reply: text.
        seed: of the random choices.
        names: lower-case name -> names of the same entity, for the kind `wording`.
        kinds: order, list, wording, length, form.

    Yields:
        (kind, variant)
    """
    chance = random.Random(f"{seed} {reply}")
    make: dict[str, Callable[[], str]] = {
        "order": lambda: reordered(reply, chance),
        "list": lambda: relisted(reply),
        "wording": lambda: reworded(reply, names or {}, chance),
        "length": lambda: f"{chance.choice(BEFORE)}\n\n{reply.strip()}\n\n{chance.choice(AFTER)}",
        "form": lambda: (
            f"**{reply.strip()}**  \n" if "\n" not in reply.strip() else reply.replace("\n", "\n\n")
        ),
    }
    for kind in kinds:
        if (other := make[kind]()) != reply:
            yield kind, other


def reordered(reply: str, chance: random.Random) -> str:
    """The sentences shuffled; unchanged where there is one, or one refers to another."""
    said = [sentence.strip() for sentence in sentences(reply) if sentence.strip()]
    if len(said) < 2 or "\n" in reply.strip() or any(REFERS.search(sentence) for sentence in said):
        return reply
    other = said[:]
    while other == said and len(set(said)) > 1:
        chance.shuffle(other)
    return " ".join(sentence if sentence[-1] in ".!?。！？" else f"{sentence}." for sentence in other)


def relisted(reply: str) -> str:
    """Sentences as a list with a mark in front of each, or such a list as sentences."""
    lines = [line for line in reply.splitlines() if line.strip()]
    if len(lines) > 1 and all(BULLET.match(line) for line in lines):
        bare = [BULLET.sub("", line).strip() for line in lines]
        return " ".join(line if line[-1:] in ".!?。" else f"{line}." for line in bare)
    said = [sentence.strip() for sentence in sentences(reply) if sentence.strip()]
    return "\n".join(f"- {sentence}" for sentence in said) if len(said) > 1 and len(lines) == 1 else reply


def reworded(reply: str, names: Names, chance: random.Random) -> str:
    """Each name that means one entity of the tree, by another name of that entity; abbreviations stay."""
    words = sorted((name for name in names if name in reply.lower()), key=len, reverse=True)
    if not words:
        return reply

    def other(mark: re.Match[str]) -> str:
        choices = [name for name in names[mark.group().lower()] if name.lower() != mark.group().lower()]
        return chance.choice(choices) if choices else mark.group()

    return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", other, reply, flags=re.IGNORECASE)


def spread(
    reward: Callable[[str], float | None], reply: str, seed: int = 0, names: Names | None = None
) -> dict[str, float]:
    """By kind, how far the reward of a variant lies from that of the reply; kinds that cannot be judged are
    left out.

    Args:
        reward: text -> its reward, or None.
        reply: text.
        seed: of the random choices.
        names: lower-case name -> names of the same entity.

    Returns:
        kind -> absolute difference
    """
    own = reward(reply)
    if own is None:
        return {}
    values = ((kind, reward(other)) for kind, other in variants(reply, seed, names))
    return {kind: abs(value - own) for kind, value in values if value is not None}


def pairs(chosen: str, rejected: str, seed: int = 0, names: Names | None = None) -> list[tuple[str, str]]:
    """The pair, and the pair in each form that both sides have, and each side alone in another form.

    One side alone takes away what form could tell: the better text is now the longer, now the shorter one.

    Args:
        chosen: the better text.
        rejected: the worse text.
        seed: of the random choices.
        names: lower-case name -> names of the same entity.

    Returns:
        (better, worse), each once
    """
    good, bad = dict(variants(chosen, seed, names)), dict(variants(rejected, seed, names))
    both = [(good[kind], bad[kind]) for kind in KINDS if kind in good and kind in bad]
    one = [(text, rejected) for text in good.values()] + [(chosen, text) for text in bad.values()]
    return list(dict.fromkeys([(chosen, rejected), *both, *one]))


def synonyms(tree: Tree) -> Names:
    """Lower-case name -> all names of its entity; names that several entities share, and abbreviations, are
    left out.

    Args:
        tree: the Medical Entity Tree.

    Returns:
        lower-case name -> names of the same entity
    """
    found: dict[str, tuple[str, ...]] = {}
    shared: set[str] = set()
    for entity in tree.entities.values():
        all_names = dict.fromkeys((entity.name, *entity.synonyms))
        names = tuple(name for name in all_names if len(name) > 3 and name not in entity.abbreviations)
        for name in {name.lower() for name in names}:
            if name in found:
                shared.add(name)
            found[name] = names
    return {name: names for name, names in found.items() if name not in shared and len(names) > 1}
