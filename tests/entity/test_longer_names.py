"""Names of the tree that are pieces of longer names, or two names (entity/linking/longer_names.py)."""

import pytest

from medxiaohe.entity.linking import longer_names
from medxiaohe.entity.linking.mentions import Draft

KINDS = {"c": "chemical", "d": "disease", "a": "anatomy", "n": "phenotype", "v": "phenotype"}


def mentions(text: str, *found: tuple[str, str], known: dict[str, str] | None = None) -> list[str]:
    """The words of the mentions after the rules; `found` is (words, entity)."""
    drafts = [Draft(text.index(w), text.index(w) + len(w), entity, False, "") for w, entity in found]
    kept = longer_names.whole(text, drafts, KINDS.__getitem__, known or {})
    return [text[draft.start : draft.end] for draft in kept]


@pytest.mark.parametrize(
    ("text", "found", "kept"),
    [
        ("streptozocxin sulfate was given", [("sulfate", "c")], []),
        ("serum sulfate was low", [("sulfate", "c")], ["sulfate"]),
        ("treated with maltolyl p-coumarate", [("coumarate", "c")], []),
        ("alpha-lipoic acid helps", [("lipoic acid", "c")], []),
        ("gentamicin sulfate therapy", [("sulfate", "c")], []),
        ("low serum phosphate", [("phosphate", "c")], ["phosphate"]),
        ("renal sodium loss", [("sodium", "c")], ["sodium"]),
        ("atropine sulfate was given", [("atropine", "c"), ("sulfate", "c")], ["atropine sulfate"]),
        ("bupivacaine hydrochloride, 2 %", [("bupivacaine", "c")], ["bupivacaine hydrochloride"]),
        ("atropine and sulfate", [("atropine", "c"), ("sulfate", "c")], ["atropine", "sulfate"]),
        ("(3-(2-propyl)ethylene", [("ethylene", "c")], []),
        ("[3H]nicotine binding", [("nicotine", "c")], ["nicotine"]),
        ("(+/-)-amphetamine", [("amphetamine", "c")], ["amphetamine"]),
        ("lipoic acid helps", [("lipoic acid", "c")], ["lipoic acid"]),
        ("a renal injury", [("renal", "a"), ("injury", "d")], ["renal injury"]),
        ("warfarin-induced artery calcification", [("calcification", "d")], ["artery calcification"]),
        ("an old injury", [("injury", "d")], ["injury"]),
    ],
)
def test_a_piece_of_a_longer_name(text: str, found: list[tuple[str, str]], kept: list[str]) -> None:
    assert mentions(text, *found) == kept


def test_two_names_joined_by_and_are_two_mentions() -> None:
    text, found = "with nausea and vomiting", ("nausea and vomiting", "n")
    assert mentions(text, found, known={"nausea": "n", "vomiting": "v"}) == ["nausea", "vomiting"]
    assert mentions(text, found, known={"nausea": "n"}) == ["nausea and vomiting"]
