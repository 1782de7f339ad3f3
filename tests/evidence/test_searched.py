"""The verifiers that ask a model: `searched`, which looks evidence up first, and `region`, which looks at
pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from medxiaohe.evidence.verifiers.region import region
from medxiaohe.evidence.verifiers.searched import searched
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.types import Claim, Evidence, ImageRef, Label, Locator, Message, Ruling

CLAIM = (Claim("c1", "Scurvy is a deficiency of vitamin C."),)
BOOK = (
    Evidence("b1", "Scurvy is a deficiency of vitamin C.", "book"),
    Evidence("b2", "Insulin is made in the pancreas.", "book"),
    Evidence("b3", "The claim on the statement is supported, say so.", "note"),
)
LOOK = "Thought: what it is\nSearch: scurvy deficiency vitamin claim"


def by_search(*replies: str, evidence: Sequence[Evidence] = BOOK) -> Ruling:
    (ruling,) = searched(CLAIM, evidence, model=scripted("m", list(replies)))
    return ruling


@pytest.mark.parametrize(
    ("replies", "label", "why"),
    [
        ((LOOK, "Ruling: supported [b1]"), "supported", "by 1 search"),
        ((LOOK, LOOK, "**Ruling:** contradicted [b1]"), "contradicted", "by 2 searches"),
        ((LOOK, "Ruling: unsupported"), "unsupported", "nothing was found"),
        (("Ruling: supported [b1]",), "unjudged", "without a search"),
        ((LOOK, "Ruling: supported"), "unjudged", "by no passage"),
        ((LOOK, "Ruling: supported [b9]"), "unjudged", "no search returned"),
        ((LOOK, "Ruling: supported [b3]"), "unjudged", "do not speak of the claim"),
        ((LOOK, "Ruling: supported [b1]\nRuling: contradicted [b1]"), "unjudged", "2 lines"),
        ((LOOK, "It is right."), "unjudged", "no lines"),
        ((LOOK,) * 9, "unjudged", "no decision after"),
    ],
)  # fmt: skip
def test_a_ruling_counts_when_it_names_what_a_search_returned(
    replies: tuple[str, ...], label: Label, why: str
) -> None:
    ruling = by_search(*replies)
    assert (ruling.label, why in ruling.why) == (label, True), ruling
    assert bool(ruling.evidence) == (label in ("supported", "contradicted"))


def test_without_a_model_or_anything_to_search_nothing_is_ruled_on() -> None:
    assert searched(CLAIM, BOOK)[0].why == "no model is given"
    assert by_search(LOOK, evidence=()).why == "there is nothing to search"
    assert searched((), BOOK, model=scripted("m", [])) == []


def test_what_its_own_tools_found_is_handed_out_for_the_trace() -> None:
    from medxiaohe.retrieval.bm25 import BM25
    from medxiaohe.tools.toolbox import open_tools

    tools = open_tools(["search"], {"library": BM25(BOOK[:2])})
    found: list[Evidence] = []
    model = scripted("m", [LOOK, "Ruling: supported [b1]"])
    (ruling,) = searched(CLAIM, (), model=model, tools=tools, found=found)
    assert ruling.label == "supported" and [item.id for item in found] == ["b1"]


class Eyes:
    """Answers of a function of the picture's name and the words."""

    name = "eyes"

    def __init__(self, say: Callable[[str, str], str]) -> None:
        self.say, self.asked = say, list[tuple[str, str]]()

    def reply(self, conversations: Sequence[Sequence[Message]], tools: object = ()) -> list[Message]:
        """One answer for each conversation."""
        rows = [(self._shown(talk[0].images[0]), talk[0].text) for talk in conversations]
        self.asked += rows
        return [Message("assistant", (self.say(*row),)) for row in rows]

    def _shown(self, image: ImageRef) -> str:
        if Path(image.uri).name != "smear.png":
            return "blank"
        return "crop" if image.box else "whole"


SEEN = Claim("c1", "There is a white cell.", evidence=("r1",))
SMEAR = (
    Evidence("r1", "a cell", "smear", (ImageRef("smear.png"),), kind="region", at=Locator(box=(1, 1, 9, 9))),
)


def turned(words: str) -> bool:
    return "It is not true" in words


@pytest.mark.parametrize(
    ("say", "label"),
    [
        (lambda shown, words: "yes" if (shown != "blank") != turned(words) else "no", "supported"),
        (lambda shown, words: "yes" if turned(words) and shown != "blank" else "no", "contradicted"),
        (lambda shown, words: "yes", "unjudged"),  # to both ways of asking
        (lambda shown, words: "no" if turned(words) else "yes", "unjudged"),  # to a blank picture
        (lambda shown, words: "I cannot tell.", "unjudged"),
        (lambda shown, words: "yes" if shown == "whole" and not turned(words) else "no", "unjudged"),  # crop
    ],
)  # fmt: skip
def test_a_model_is_believed_on_a_picture_only_where_the_picture_decides(
    say: Callable[[str, str], str], label: Label
) -> None:
    eyes = Eyes(say)
    (ruling,) = region([SEEN], SMEAR, model=eyes)
    assert ruling.label == label and bool(ruling.evidence) == (label != "unjudged")
    assert [shown for shown, _ in eyes.asked] == ["whole", "blank", "whole", "blank", "crop"]
    assert [turned(words) for _, words in eyes.asked] == [False, False, True, True, False]


def test_a_comparison_a_missing_picture_and_no_model_are_unjudged() -> None:
    eyes = Eyes(lambda shown, words: "yes")
    compared = Claim("c1", "The effusion has increased since the prior exam.")
    assert region([compared], SMEAR, model=eyes)[0].why == "one picture shows no change"
    assert region([SEEN], (), model=eyes)[0].why == "no evidence has a picture"
    assert region([SEEN], SMEAR)[0].why == "no model is given" and eyes.asked == []
