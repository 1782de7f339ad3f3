"""Verifier: ask a vision model about each claim on the picture, on its cited region and on a blank picture.

The negated claim is asked too.

    supported     yes on the picture (and on every cited region), no on a blank one, no to the negated claim
    contradicted  no on the picture, yes to the negated claim on it, and another answer to that on a blank one
    unjudged      everything else: a model that says yes to a blank picture, or to a claim and its negation,
                  has not looked; without a model or a picture there is no answer
"""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe import assets
from medxiaohe.evidence.sentences import compares
from medxiaohe.images import keep
from medxiaohe.scoring.yes_no import parse
from medxiaohe.traces.records import regions as parts_of
from medxiaohe.types import Claim, Evidence, ImageRef, Label, Message, Model, Ruling

NAME = "region"
ASKED = "Statement about this picture: {claim}\nIs the statement true? Answer yes or no."
NEGATED = "It is not true that this holds: {claim}"
GREY, SIDE = 128, 224  # of the blank picture: value of 0 to 255, and pixels


def region(
    claims: Sequence[Claim], evidence: Sequence[Evidence], *, model: Model | None = None
) -> list[Ruling]:
    """Rule on claims by a model that reads the pictures of the evidence.

    Args:
        claims: to rule on.
        evidence: with images.
        model: a vision model; without one nothing is ruled on.

    Returns:
        one ruling for each claim, in order
    """
    shown = [item for item in evidence if item.images]
    if model is None or not shown:
        why = "no model is given" if model is None else "no evidence has a picture"
        return [Ruling(claim.id, "unjudged", by=NAME, why=why) for claim in claims]
    return [_ruling(claim, shown, model) for claim in claims]


def blank() -> ImageRef:
    """A uniform grey picture, SIDE x SIDE pixels.

    Returns:
        reference to the file in the cache
    """
    import numpy as np

    return keep(np.full((SIDE, SIDE, 3), GREY, np.uint8), assets.cache_root() / "images")


def _ruling(claim: Claim, shown: Sequence[Evidence], model: Model) -> Ruling:
    if compares(claim.text):
        return Ruling(claim.id, "unjudged", by=NAME, why="one picture shows no change")
    cited = [item for item in shown if item.id in claim.evidence] or list(shown[:1])
    picture = cited[0].images[0]
    parts = [part for item in cited for part in parts_of(item.images[0], item.at)[1:]]
    nothing, turned = blank(), NEGATED.format(claim=claim.text)
    # questions: claim and negation on the picture and on a blank one, claim on each cited region
    questions = [(picture, claim.text), (nothing, claim.text), (picture, turned), (nothing, turned)]
    questions += [(part, claim.text) for part in parts]
    talks = [[Message("user", (image, ASKED.format(claim=text)))] for image, text in questions]
    answers = [parse(reply.text) if not reply.error else "" for reply in model.reply(talks)]
    label, why = _label(answers)
    return Ruling(claim.id, label, tuple(item.id for item in cited) if label != "unjudged" else (), NAME, why)


def _label(answers: Sequence[str]) -> tuple[Label, str]:
    """Label and reason, of the answers on the picture, blank, negated, negated and blank, and on parts."""
    on_picture, on_blank, turned, turned_blank, *parts = answers
    if "" in answers[:4]:
        return "unjudged", "an answer is neither yes nor no"
    if on_picture == on_blank and turned == turned_blank:
        return "unjudged", f"a blank picture gives the same answers ({on_picture}, negated {turned})"
    if on_picture == turned:
        return "unjudged", f"{on_picture} to the claim and to its negation"
    if on_picture == "yes" and on_blank == "no" and all(part == "yes" for part in parts):
        return "supported", "yes on the picture, no on a blank one and to the negation"
    if on_picture == "no" and turned == "yes" and turned_blank == "no":
        return "contradicted", "no on the picture, yes to the negation, and not on a blank one"
    return "unjudged", f"answers disagree: {', '.join(answers)}"


class _Example:
    """Scripted model: the picture named blood.png shows a cell, others show nothing."""

    name = "example"

    def reply(self, conversations: Sequence[Sequence[Message]], tools: object = ()) -> list[Message]:
        """Answer yes if the statement holds of a picture with a cell, and always about the weather.

        Returns:
            one answer for each conversation
        """
        return [Message("assistant", (self._one(talk[0]),)) for talk in conversations]

    def _one(self, question: Message) -> str:
        if "weather" in question.text:
            return "Yes."
        seen = "blood.png" in question.images[0].uri
        right = seen and "cell" in question.text and "no cell" not in question.text
        return "Yes." if right != ("It is not true" in question.text and seen) else "No."


EXAMPLE = (
    (
        Claim("c1", "A cell is seen."),
        Claim("c2", "There is no cell."),
        Claim("c3", "The weather is fine."),
    ),
    (Evidence("i1", "the picture", "blood.png", images=(ImageRef("blood.png"),)),),
    ("supported", "contradicted", "unjudged"),
)
EXAMPLE_SETTINGS = {"model": _Example()}
