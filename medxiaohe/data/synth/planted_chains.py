"""Plant faults in chains of thought to measure the recall of the checks (MedXIAOHE): peeks, broken logic,
unfaithful statements.

Every function has the same arguments: a sound chain, its case, the chain of another row, and a random
generator. It returns the broken chain, or None where this fault cannot be planted in the chain.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

from medxiaohe.data.synth.anchors import Item
from medxiaohe.data.synth.chains import Chain
from medxiaohe.data.synth.checks import Case
from medxiaohe.data.synth.graph import Graph, siblings
from medxiaohe.data.synth.names import telling, visible
from medxiaohe.data.synth.planted import side as other_side
from medxiaohe.entity.linking.finder import Finder
from medxiaohe.scoring.choice import LETTERS

Plant = Callable[[Chain, Case, Chain, random.Random], "Chain | None"]
SENTENCE = re.compile(r"(?<=[.;])\s+(?=[A-Z]|Step)")


def _other_option(case: Case, dice: random.Random) -> str:
    return dice.choice(
        [option for letter, option in zip(LETTERS, case.options, strict=False) if letter != case.letter]
    )


# ---- peeks ---------------------------------------------------------------------------------------


def answer_in_understanding(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain:
    """Plant a peek: the understanding names the answer.

    Returns:
        The broken chain.
    """
    return replace(chain, understanding=f"{chain.understanding} It has to lead to {case.names[0]}.")


def answer_recalled(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain:
    """Plant a peek: the recall names the answer; of a multiple choice, it alone.

    Returns:
        The broken chain.
    """
    return replace(
        chain,
        recall=(
            f"{case.names[0]} comes to mind at once."
            if case.options
            else f"{chain.recall} {case.names[0]} fits."
        ),
    )


def argues_from_answer(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain:
    """Plant a peek: the reasoning starts from the answer, in words that the check has patterns for.

    Returns:
        The broken chain.
    """
    sentence = dice.choice((
        "Given that the answer is known, this must hold.",
        "Because the answer is what it is, the rest follows.",
        "This is in line with the reference answer.", "As we were told, the correct option fits.",
        "The gold label confirms it.",
        "Working backwards from the end, the facts agree.", "This justifies the answer.",
    ))  # fmt: skip
    return replace(chain, reasoning=f"{sentence} {chain.reasoning}")


def argues_in_other_words(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain:
    """Plant a peek in words that the check has no patterns for.

    Returns:
        The broken chain.
    """
    sentence = dice.choice((
        "I was handed the solution, and it agrees with this.",
        "Seeing what is marked as right, the rest is clear.",
        "The solution at the back of the book says so.",
        "Since it has to come out this way, the facts are read accordingly.",
        "The target tells us where to end.", "Looking at the end first, the path becomes obvious.",
        "The question setter wants this one.",
    ))  # fmt: skip
    return replace(chain, reasoning=f"{sentence} {chain.reasoning}")


def letter_in_recall(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant a peek: the recall names the letter of the answer.

    Returns:
        The broken chain; None without a letter.
    """
    return replace(chain, recall=f"The answer is {case.letter}. {chain.recall}") if case.letter else None


# ---- broken logic ----------------------------------------------------------------------------------


def concludes_elsewhere(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain:
    """Plant broken logic: the conclusion is another option, or another entity of the path.

    Returns:
        The broken chain.
    """
    if case.options:
        option = _other_option(case, dice)
        return replace(chain, conclusion=f"The answer is {LETTERS[case.options.index(option)]}, {option}.")
    return replace(chain, conclusion=f"X{len(case.node_names) - 1} is {case.node_names[-2]}.")


def reasons_elsewhere(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant broken logic: the reasoning ends at another option than the conclusion.

    Returns:
        The broken chain; None without options.
    """
    return (
        replace(chain, reasoning=f"{chain.reasoning} So it is {_other_option(case, dice)}.")
        if case.options
        else None
    )


def leaves_out_a_step(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant broken logic: the reasoning over a path lacks one of its inner steps.

    Returns:
        The broken chain; None without a path, or with fewer than four sentences.
    """
    steps = SENTENCE.split(chain.reasoning)
    if case.walk is None or len(steps) < 4:
        return None
    del steps[dice.randrange(1, len(steps) - 1)]
    return replace(chain, reasoning=" ".join(steps))


def swaps_steps(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant broken logic: two neighbouring steps of the reasoning over a path are exchanged.

    Returns:
        The broken chain; None without a path, or with fewer than four sentences.
    """
    steps = SENTENCE.split(chain.reasoning)
    if case.walk is None or len(steps) < 4:
        return None
    i = dice.randrange(0, len(steps) - 1)
    steps[i], steps[i + 1] = steps[i + 1], steps[i]
    return replace(chain, reasoning=" ".join(steps))


def another_reasoning(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain:
    """Plant broken logic: the reasoning is that of another row.

    Returns:
        The broken chain.
    """
    return replace(chain, reasoning=donor.reasoning)


def contradicts_itself(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant broken logic: the reasoning denies a fact that was recalled.

    Returns:
        The broken chain; None where the recall has no fact that can be denied.
    """
    facts = [
        sentence
        for sentence in SENTENCE.split(chain.recall)
        if re.search(r" can show | is a kind of | is part of ", sentence)
    ]
    if not facts:
        return None
    denied = re.sub(r" can show ", " does not show ", dice.choice(facts), count=1)
    denied = re.sub(r" is (a kind|part) of ", r" is not \1 of ", denied, count=1)
    return replace(chain, reasoning=f"{denied} {chain.reasoning}")


# ---- unfaithful statements ---------------------------------------------------------------------------


def another_recall(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant an unfaithful statement: one of another row's recall, with at least two words this row does not
    have.

    Returns:
        The broken chain; None where the other row has no such statement.
    """
    own_text = f"{case.question} {case.evidence}"
    strange = [
        sentence
        for sentence in SENTENCE.split(donor.recall)
        if len(telling(sentence) - telling(own_text)) > 1
    ]
    return replace(chain, recall=f"{chain.recall} {dice.choice(strange)}") if strange else None


def the_other_side(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant an unfaithful statement: left becomes right and right becomes left in the recall.

    Returns:
        The broken chain; None where no side is named.
    """
    changed = other_side(Item("", chain.recall, ()))
    return replace(chain, recall=changed.text) if changed else None


def another_number(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant an unfaithful statement: one number n of the recall becomes 3n + 1.

    Returns:
        The broken chain; None where the recall has no number.
    """
    numbers = [m for m in re.finditer(r"(?<![\w.])\d+(?:\.\d+)?\b(?!:)", chain.recall)]
    if not numbers:
        return None
    mark = dice.choice(numbers)
    return replace(
        chain, recall=f"{chain.recall[: mark.start()]}{float(mark[0]) * 3 + 1:g}{chain.recall[mark.end() :]}"
    )


def denies_a_fact(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant an unfaithful statement: a true fact is denied in the recall, and in the reasoning where it is
    repeated.

    Returns:
        The broken chain; None where the recall has no fact that can be denied.
    """
    if " can show " not in chain.recall and " is a kind of " not in chain.recall:
        return None
    for old, new in ((" can show ", " never shows "), (" is a kind of ", " is not a kind of ")):
        if old in chain.recall:
            fact = next(sentence for sentence in SENTENCE.split(chain.recall) if old in sentence)
            wrong = fact.replace(old, new, 1)
            reasoning = chain.reasoning.replace(fact.rstrip("."), wrong.rstrip("."))
            return replace(chain, recall=chain.recall.replace(fact, wrong), reasoning=reasoning)
    return None


def joins_what_no_fact_joins(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
    """Plant an unfaithful statement: one that joins two entities of the path which no fact joins.

    Returns:
        The broken chain; None without a path.
    """
    if case.walk is None:
        return None
    first, last = case.node_names[0], case.node_names[-3]
    return replace(chain, recall=f"{chain.recall} {first} is a kind of {last}.")


def a_sibling(graph: Graph, names: Finder) -> Plant:
    """Make the fault that replaces an entity of the recall by a sibling of it, in the reasoning too.

    Args:
        graph: facts of the tree.
        names: finder of its entities.

    Returns:
        A function with the arguments of the others; it returns None where no entity has a sibling that
        question and evidence do not name.
    """

    def plant(chain: Chain, case: Case, donor: Chain, dice: random.Random) -> Chain | None:
        """Replace an entity of the recall by a sibling of it.

        Returns:
            The broken chain, or None.
        """
        mentions = [m for m in names.find(chain.recall) if not m.ambiguous and m.entity in graph.tree]
        for mention in dice.sample(mentions, len(mentions)):
            kin = siblings(graph.tree, mention.entity)
            for id in dice.sample(kin, min(5, len(kin))):
                name = graph.tree.entities[id].name
                if not visible((name,), f"{case.question} {case.evidence}"):
                    changed = [
                        text.replace(mention.surface, name) for text in (chain.recall, chain.reasoning)
                    ]
                    return replace(chain, recall=changed[0], reasoning=changed[1])
        return None

    return plant


PEEKS: tuple[Plant, ...] = (
    answer_in_understanding,
    answer_recalled,
    argues_from_answer,
    letter_in_recall,
    argues_in_other_words,
)
LOGIC: tuple[Plant, ...] = (
    concludes_elsewhere, reasons_elsewhere, leaves_out_a_step, swaps_steps, another_reasoning,
    contradicts_itself,
)  # fmt: skip
UNFAITHFUL: tuple[Plant, ...] = (
    another_recall,
    the_other_side,
    another_number,
    denies_a_fact,
    joins_what_no_fact_joins,
)
