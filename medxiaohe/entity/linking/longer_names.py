"""Names of the tree inside longer names, and names that are two: "streptomycin sulfate", "renal injury".

Rules on the mentions of a dictionary, each chosen on the training parts of BC5CDR and NCBI-disease:

- A salt behind the name of a substance is a part of it: "atropine sulfate" is one mention, of atropine where
  the tree has no name of both, as a drug is the same in all its salts (RxNorm calls it the ingredient).
- A salt or ester behind another word is a piece of a drug's name, and so is a name attached to a locant or a
  bracket ("maltolyl p-coumarate"): neither is a mention.
- An injury, calcification or hyperplasia of an organ is one mention with its organ.
- A name "A and B" of two names of the tree is two mentions: nausea and vomiting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from medxiaohe.entity.linking.mentions import Draft
from medxiaohe.privacy.text_words import lists

SALTS = frozenset(
    """acetate besilate besylate bitartrate bromide butyrate carbonate chloride citrate decanoate
    dihydrochloride diphosphate disodium esilate ester ethyl fumarate gluconate hemihydrate hydrate
    hydrobromide hydrochloride hydroxide iodide lactate maleate malate mesilate mesylate methyl
    monohydrate nitrate oxalate palmitate pamoate phosphate potassium propionate salicylate sodium
    stearate succinate sulfate sulfonate sulphate sulphonate tartrate tosylate tosilate trihydrate
    valerate""".split()
)
GROUPS = frozenset({"ester", "ethyl", "methyl", "potassium"})  # of another substance, or one of its own
NEXT_WORD = re.compile(r"[ ]([^\W\d_]+)(?![\w\-])")
WORD = re.compile(r"([^\W_][\w\-’']*)[ \-]$")
# "p-coumarate", "alpha-lipoic acid", "...phenyl)ethyl]", "]-formamide": locants and brackets of a name
GLUED = re.compile(
    r"(?:(?<![^\W_])(?:[a-zA-Z]|[0-9](?:,[0-9])*|alpha|beta|gamma|delta|omega|cis|trans)-|[)\]]-?)$",
    re.IGNORECASE,
)
# an isotope or the chirality before a name does not change the name: [3H]nicotine, (+/-)-amphetamine
LABELLED = re.compile(r"(?:\[\d{0,3}[A-Z][a-z]?\d{0,3}\]|\((?:[+\-±/]{1,3}|[RSdl])\))-?$")
CATIONS = frozenset({"disodium", "potassium", "sodium"})  # these stand alone as often as not
# words behind which an anion is itself and no piece of a name: "serum phosphate", "an infusion of nitrate"
MEASURED = frozenset(
    """a an and as at blood by decreased dietary elevated excess excreted for free from high higher in
    increased inorganic intravenous its low lower no of on or oral organic plasma reduced serum some than that
    the their this to total tubular urea urinary urine was were with without""".split()
)
ORGAN = re.compile(
    r"(?<![^\W_])(?:aort(?:a|ic)|arter(?:y|ial)|axonal|brain|cardiac|cerebral|coronary|endometrial|endothelial|gastric"
    r"|glomerular|hepatic|hepatocellular|hippocampal|intestinal|kidney|liver|lung|mucosal|muscle|muscular|myocardial"
    r"|neuronal|pancreatic|pulmonary|renal|retinal|spinal|tissue|tubular|valv(?:e|ular)|vascular) $",
    re.IGNORECASE,
)
OF_AN_ORGAN = frozenset({"injury", "injuries", "calcification", "calcifications", "hyperplasia"})
BOTH = re.compile(r"([^\W\d_]{4,}) and ([^\W\d_]{4,})")
LETTERS_BEFORE = 24


def asked(text: str, drafts: Sequence[Draft]) -> Iterator[str]:
    """Names that the rules need looked up in the tree: both sides of a mention "A and B".

    Args:
        text: of the page.
        drafts: mentions of names in it.

    Yields:
        names
    """
    for draft in drafts:
        if both := BOTH.fullmatch(text, draft.start, draft.end):
            yield from both.groups()


def whole(
    text: str, drafts: Sequence[Draft], kind: Callable[[str], str], looked_up: Mapping[str, str]
) -> list[Draft]:
    """Extend, split and drop mentions by the rules of this module.

    Args:
        text: of the page.
        drafts: mentions that do not overlap, in order.
        kind: entity -> kind.
        looked_up: name -> entity, for the names of `asked` that the tree has.

    Returns:
        mentions in order
    """
    result: list[Draft] = []
    for draft in drafts:
        if result and draft.end <= result[-1].end:
            continue  # the salt of the substance before
        if draft.how or not draft.entity:
            result.append(draft)
            continue
        before = text[max(0, draft.start - LETTERS_BEFORE) : draft.start]
        surface = text[draft.start : draft.end].lower()
        if kind(draft.entity) == "chemical":
            if not _is_piece(surface, before):
                result.append(draft._replace(end=_with_salt(text, draft)))
        elif surface in OF_AN_ORGAN and (organ := ORGAN.search(before)):
            start = draft.start - len(organ[0])
            result = [earlier for earlier in result if earlier.end <= start]  # the organ itself
            result.append(draft._replace(start=start))
        elif (sides := BOTH.fullmatch(text, draft.start, draft.end)) and all(
            n in looked_up for n in sides.groups()
        ):
            result += [
                draft._replace(start=sides.start(i), end=sides.end(i), entity=looked_up[sides[i]])
                for i in (1, 2)
            ]
        else:
            result.append(draft)
    return result


def _with_salt(text: str, draft: Draft) -> int:
    """End of the name of a substance, the names of salts behind it included."""
    end = draft.end
    while (mark := NEXT_WORD.match(text, end)) and mark[1].lower() in SALTS - GROUPS:
        end = mark.end()
    return end


def _is_piece(surface: str, before: str) -> bool:
    """Whether the name of a chemical is only a piece of a longer name, by the characters before it."""
    word = WORD.search(before)
    alone = lists().words if surface in CATIONS else MEASURED
    if surface in SALTS and word and word[1].lower() not in alone:
        return True
    return bool(GLUED.search(before)) and not LABELLED.search(before)
