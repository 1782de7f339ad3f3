"""Swap left and right in the question, the options and the gold, and mirror the images.

It applies only if every "left" and "right" names a side, and nothing named belongs to one side of the body
(heart, liver, appendix, aphasia of the right-handed, ...), so that the mirrored case is as possible as the
original.
"""

import re
from dataclasses import replace

from medxiaohe.evals.perturb._images import mirrored
from medxiaohe.evals.perturb._question import Around, asked, edit, swap_images
from medxiaohe.types import Message, Sample

EXPECTS = "right"
EXAMPLE = asked(
    "Pain in the left knee after a fall. Which joint is imaged?",
    "Left knee",
    "Right knee",
    "Left hip",
    target="A",
)
SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
PARTS = """sided side upper lower middle mid medial lateral anterior posterior inner outer proximal distal common main basal basilar
apical hilar perihilar pleural lung hemithorax chest pneumothorax effusion lobe base apex hilum arm leg eye ear knee hip shoulder elbow
wrist hand foot ankle thigh calf breast kidney ureter testis testicle ovary femur femoral tibia fibula humerus radius ulna clavicle
scapula rib forearm finger thumb toe cheek face facial jaw mandible maxilla orbit temple flank groin buttock axilla tonsil parotid
carotid popliteal optic adrenal renal"""  # noqa: E501
NAMES_A_SIDE = re.compile(
    rf"\b(?:left|right)[ -](?:{'|'.join(PARTS.split())})\w*|\b(?:on|to|of|in|from|at) the"
    r" (?:left|right)\b|\bis the (?:left|right)\b"
    r"|^\W*(?:the )?(?:left|right)\W*$|\b(?:left|right) or (?:left|right)\b",
    re.IGNORECASE | re.MULTILINE,
)
ONE_SIDED = re.compile(
    r"heart|cardi|atri(?:um|al)|ventric|aort|liver|hepat|spleen|splen|stomach|gastr|append|gallbl|bili|ca?ecum|colon|sigmoid|colic|bowel|"
    r"pancrea|duoden|mediast|vena"
    r" cava|coronar|mitral|tricuspid|laryngeal|situs|quadrant|handed|aphasi|speech|language|neglect|"
    r"hemispher|dominan|diaphragm|azygos|thoracic"
    r" duct|subclavian|iliac|varicocele|abdom|esophag|oesophag|trachea|bronch|lingula|"
    r"turn|correct",
    re.IGNORECASE,
)


def laterality(sample: Sample, around: Around) -> Sample | None:
    """Swap left and right in question, options and gold, and mirror the images.

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """
    text = "\n".join([message.text for message in sample.messages] + list(sample.choices))
    sides = list(SIDE.finditer(text))
    named = [match.span() for match in NAMES_A_SIDE.finditer(text)]
    if (
        not sides
        or ONE_SIDED.search(text)
        or any(not any(a <= m.start() < b for a, b in named) for m in sides)
    ):
        return None
    changed = edit(sample, _swapped, options=True) or sample
    last = changed.messages[-1]
    if not changed.choices and last.role == "assistant":
        messages = (*changed.messages[:-1], Message("assistant", (_swapped(last.text),)))
        changed = replace(changed, messages=messages, target=_swapped(changed.target))
    elif changed.choices and sample.target in sample.choices:
        return None  # options named in words within the question: which of them is meant would be a guess
    changed = swap_images(changed, lambda image: mirrored(image, around.folder)) if sample.images else changed
    return None if changed == sample else changed


def _swapped(text: str) -> str:
    def other(match: re.Match[str]) -> str:
        """The other side, in the same case of letters.

        Returns:
            such as "Right" for "Left"
        """
        word = "right" if match[0].lower() == "left" else "left"
        return word.upper() if match[0].isupper() else word.capitalize() if match[0][0].isupper() else word

    return SIDE.sub(other, text)
