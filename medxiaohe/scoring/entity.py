"""A disease, finding, drug or organ, whatever its name: the tree says which names are one thing.

Synonyms, abbreviations, possessives and spellings of the gold count; a different side, number or negation
never does. The target has one accepted name a line. Several different things, or one of two, are no answer.
"""

import re
from pathlib import Path

from medxiaohe.errors import ConfigError
from medxiaohe.scoring._answer import final
from medxiaohe.scoring._equivalence import Names, tree_names
from medxiaohe.scoring._text import golds, missing, plain, short
from medxiaohe.types import Message, Sample, Score, Trace

LONGEST = 25  # words of a name; a longer first line is an explanation
ANNOUNCED = re.compile(
    r"(?:\b(?:answer|(?<!differential"
    r" )diagnosis|condition|disease|finding|cause|drug|organism|organ)\b|答案|诊断)[\"']?\s*"
    r"(?:here\s+)?(?:(?:is|would be|must be|is most likely|is probably|is likely)\b|[:=]|是|为)+\s*(?:that"
    r" of\s+)?([^\n]+)"
    r"|\b(?:consistent with|suggestive of|suggests?|indicates?|points? to|diagnosed with|(?:most )?likely"
    r" has|suffers from)\s+([^\n]+)",
    re.IGNORECASE,
)
REASON = re.compile(
    r"(?<=\w)[.;:](?=\s|$)|[。；]|,?\s+(?:because|since|as evidenced|given|based on|due to the|which|with"
    r" the|characteri[sz]ed|"
    r"confirmed by|as shown|is the (?:most|best|correct))\b|\s+[-–—]\s+|\s*(?:是最可能|的可能性)",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"^(?:(?:a|an|the|most|likely|probably|definitely|suspected|possible|diagnosis of|case of|patient"
    r" has|this patient has|the patient has|"
    r"patient most likely has|has|is|very|highly)\s+)+",
    re.IGNORECASE,
)
# of a list; "3-" of "3-Methyl..." is none
MARK = re.compile(r"^(?:[-•*]+\s*|\d{1,2}(?:[.):、](?:\s+|(?=[^\W\d]))|\s+[-–—]\s+))+(?=\w)")
BULLET = re.compile(r"(?m)^\s*(?:[-•]|\d{1,2}[.)、])\s+\S")


def entity(sample: Sample, trace: Trace, *, tree: Path | str | None = None) -> Score:
    """Accuracy of a name: 1 where the answer names the entity of the target.

    Args:
        sample: its target is one accepted name a line.
        trace: its answer is scored.
        tree: folder of a built tree.

    Returns:
        1 or 0, with the reason of a match in `why`; `unparsed` or `refused` without one clear name

    Raises:
        ConfigError: no tree is given.
    """
    if tree is None:
        raise ConfigError(
            "the scorer entity compares names by a tree: give it tree=FOLDER of an entity.build stage"
        )
    return judged(sample, trace, tree_names(Path(tree)))


def judged(sample: Sample, trace: Trace, names: Names) -> Score:
    """Score an entity answer with the names of a tree that is loaded already.

    Args:
        sample: its target is one accepted name a line.
        trace: its answer is scored.
        names: decides whether two names mean the same.

    Returns:
        1 or 0, with the reason of a match in `why`; `unparsed` or `refused` without one clear name
    """
    accepted = golds(sample)
    parsed = parse(trace.answer, names, accepted)
    if not parsed:
        return missing("entity", trace, "no single clear name")
    for gold in accepted:
        if why := names.same(parsed, gold):
            return Score("entity", 1.0, parsed=parsed, why=f"{parsed!r} is {gold!r} by {why}")
    return Score("entity", 0.0, parsed=parsed, why=f"{parsed!r} is not known to be {' | '.join(accepted)!r}")


def parse(answer: str, names: Names, accepted: tuple[str, ...] = ()) -> str:
    """Parse the one name that an answer commits to.

    Args:
        answer: text of a reply, its thinking included.
        names: decides whether two names mean the same.
        accepted: names that are right; they may contain words that would else separate two answers.

    Returns:
        a name, or ""
    """
    text = short(answer, accepted)
    if plain(text) in {plain(gold) for gold in accepted} or any(
        names.same(text, gold) for gold in accepted if text
    ):
        return text.strip(" .,;:!")
    if len(BULLET.findall(text)) > 1:
        return ""
    announced = [name(a or b) for a, b in ANNOUNCED.findall(final(answer))] if text else []
    if several(text.split("\n")[0], names):
        return ""
    if announced:
        chosen = announced[0] if all(names.same(announced[0], later) for later in announced) else ""
    else:
        first = text.split("\n")[0]
        chosen = (
            name(first) if len(first.split()) <= LONGEST or (len(first) < 80 and not first.isascii()) else ""
        )
    return "" if several(chosen, names) else chosen


def name(text: str) -> str:
    """Strip the lead, list marker and reason around a name.

    Args:
        text: a line of an answer.

    Returns:
        The name, "" where nothing is left.
    """
    text = FILLER.sub("", REASON.split(MARK.sub("", text.strip()), maxsplit=1)[0].strip())
    return text.strip(" .,;:!\"'“”")


def several(text: str, names: Names) -> bool:
    """Detect an answer that lists different entities of the tree: "Marfan syndrome, Loeys-Dietz syndrome".

    Args:
        text: an answer.
        names: index of the tree, which knows names with a comma.

    Returns:
        True where two parts have no entity in common; False for a name of the tree that holds a comma or
        "and" itself.
    """
    if names.known(text):
        return False
    parts = [
        ids
        for piece in re.split(r"[,;/、，；]|\band\b|\bor\b|\bvs\b|和|或", text)
        if (ids := names.ids(name(piece)))
    ]
    return any(not group & earlier for i, group in enumerate(parts) for earlier in parts[:i])


EXAMPLE = Sample(
    "entity/example",
    (
        Message("user", ("Tall stature, ectopia lentis, aortic root dilatation. Which disease?",)),
        Message("assistant", ("Marfan's syndrome",)),
    ),
    target="Marfan syndrome",
)
