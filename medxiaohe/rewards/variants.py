"""Variants of a reply with the same facts in another form, which a reward must not tell apart (MedXIAOHE).

    order      the sentences of a paragraph in another order, unless one refers back to another
    list       prose as a list, or a list as prose
    wording    names of the tree replaced by synonyms of the same entity (`names` from `synonyms(tree)`)
    length     a sentence without content in front and behind
    form       Markdown emphasis, or blank lines between the lines

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
# A sentence that refers to the one before it: such a paragraph is not shuffled.
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
    """Generate variants of a reply, one for each kind that changes it.

    Args:
        reply: text.
        seed: of the random choices; the same seed and reply give the same variants.
        names: lower-case name -> names of the same entity, for the kind `wording`.
        kinds: order, list, wording, length, form.

    Yields:
        (kind, variant), in the order of `kinds`

    Raises:
        KeyError: a kind is not one of these.
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
        if (variant := make[kind]()) != reply:
            yield kind, variant


def reordered(reply: str, chance: random.Random) -> str:
    """Shuffle the sentences of a reply.

    Args:
        reply: text.
        chance: source of randomness.

    Returns:
        the sentences in another order; unchanged with several lines, a single sentence or one that refers
        back
    """
    originals = [sentence.strip() for sentence in sentences(reply) if sentence.strip()]
    if len(originals) < 2 or "\n" in reply.strip() or any(REFERS.search(sentence) for sentence in originals):
        return reply
    shuffled = originals[:]
    while shuffled == originals and len(set(originals)) > 1:
        chance.shuffle(shuffled)
    return " ".join(sentence if sentence[-1] in ".!?。！？" else f"{sentence}." for sentence in shuffled)


def relisted(reply: str) -> str:
    """Turn the sentences of a paragraph into a bullet list, or a bullet list into a paragraph.

    Args:
        reply: text.

    Returns:
        the other form; unchanged for a single sentence and for several lines that are no list
    """
    lines = [line for line in reply.splitlines() if line.strip()]
    if len(lines) > 1 and all(BULLET.match(line) for line in lines):
        bare = [BULLET.sub("", line).strip() for line in lines]
        return " ".join(line if line[-1:] in ".!?。" else f"{line}." for line in bare)
    items = [sentence.strip() for sentence in sentences(reply) if sentence.strip()]
    return "\n".join(f"- {sentence}" for sentence in items) if len(items) > 1 and len(lines) == 1 else reply


def reworded(reply: str, names: Names, chance: random.Random) -> str:
    """Replace names of entities by synonyms; abbreviations stay.

    Args:
        reply: text.
        names: lower-case name -> names of the same entity.
        chance: source of randomness.

    Returns:
        the text with each name replaced by another name of its entity; unchanged without such a name
    """
    words = sorted((name for name in names if name in reply.lower()), key=len, reverse=True)
    if not words:
        return reply

    def other(mark: re.Match[str]) -> str:
        """Another name of the entity that a match names.

        Returns:
            a random one, or the match itself without another name
        """
        choices = [name for name in names[mark.group().lower()] if name.lower() != mark.group().lower()]
        return chance.choice(choices) if choices else mark.group()

    return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", other, reply, flags=re.IGNORECASE)


def spread(
    reward: Callable[[str], float | None], reply: str, seed: int = 0, names: Names | None = None
) -> dict[str, float]:
    """Differences between the reward of a reply and those of its variants.

    Args:
        reward: text -> its reward, or None where it could not be judged.
        reply: text.
        seed: of the random choices.
        names: lower-case name -> names of the same entity.

    Returns:
        kind -> absolute difference, without kinds that could not be judged; {} if the reply could not be
    """
    own = reward(reply)
    if own is None:
        return {}
    values = ((kind, reward(variant)) for kind, variant in variants(reply, seed, names))
    return {kind: abs(value - own) for kind, value in values if value is not None}


def pairs(chosen: str, rejected: str, seed: int = 0, names: Names | None = None) -> list[tuple[str, str]]:
    """Augment a preference pair with variants of both sides and of each side alone.

    Variants of one side alone keep a reward model from preferring a form: the better text is the longer one
    in some pairs and the shorter one in others.

    Args:
        chosen: the better text.
        rejected: the worse text.
        seed: of the random choices.
        names: lower-case name -> names of the same entity.

    Returns:
        (better, worse), the given pair first, each pair once
    """
    good, bad = dict(variants(chosen, seed, names)), dict(variants(rejected, seed, names))
    both = [(good[kind], bad[kind]) for kind in KINDS if kind in good and kind in bad]
    single = [(text, rejected) for text in good.values()] + [(chosen, text) for text in bad.values()]
    return list(dict.fromkeys([(chosen, rejected), *both, *single]))


def synonyms(tree: Tree) -> Names:
    """Index the names of a tree for `reworded`.

    Args:
        tree: the Medical Entity Tree.

    Returns:
        lower-case name -> all names of its entity, without names of 3 letters or fewer, abbreviations, and
        names that several entities share
    """
    names_of: dict[str, tuple[str, ...]] = {}
    shared: set[str] = set()
    for entity in tree.entities.values():
        all_names = dict.fromkeys((entity.name, *entity.synonyms))
        names = tuple(name for name in all_names if len(name) > 3 and name not in entity.abbreviations)
        for name in {name.lower() for name in names}:
            if name in names_of:
                shared.add(name)
            names_of[name] = names
    return {name: names for name, names in names_of.items() if name not in shared and len(names) > 1}
