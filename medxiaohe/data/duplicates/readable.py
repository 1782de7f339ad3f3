"""Normalise the characters of a text to what a reader sees: what hides a copy from a comparison of letters is
removed.

    readable("Wh\u0430t is &lt; 5\u200b\uff05?")      -> "What is < 5%?"

HTML entities are resolved, full-width and other compatibility forms become the plain ones (NFKC), characters
without a width are removed, and Cyrillic and Greek letters that look like Latin ones become Latin in a word
with Latin letters, and in a text that is mostly Latin.
"""

from __future__ import annotations

import html
import re
import unicodedata

ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]"
)
LOOKALIKES = dict(
    zip(
        "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u051b\u0432\u043a\u043c\u043d\u0442"
        "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405\u0417\u0391\u0392\u0395\u0396"
        "\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03bd\u03f2\u0261\u0131\u2170\u04cf",
        "aeopcyxijsdhqbkmhtABEKMHOPCTYXIJS3ABEZHIKMNOPTYXovcgiil",
        strict=True,
    )
)
ALIKE = str.maketrans(LOOKALIKES)
LATIN, OTHER = re.compile(r"[A-Za-z]"), re.compile("[" + "".join(LOOKALIKES) + "]")
TOKEN = re.compile(r"[^\W\d_]+")


def readable(text: str) -> str:
    """Rewrite a text in the characters that a reader takes it for: HTML entities, NFKC, invisible characters,
    Cyrillic and Greek lookalikes of Latin letters.

    Returns:
        The text; plain ASCII text without entities is returned unchanged.
    """
    if "&" in text and ENTITY.search(text):
        text = html.unescape(text)
    if text.isascii():
        return text
    text = INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    if not OTHER.search(text):
        return text
    # lookalikes are replaced in words that have Latin letters too, and everywhere in a text that is mostly
    # Latin: Greek and Russian texts stay
    mostly_latin = len(LATIN.findall(text)) > sum(map(str.isalpha, text)) / 2

    def latin(mark: re.Match[str]) -> str:
        word = mark.group()
        if not OTHER.search(word) or not (LATIN.search(word) or mostly_latin):
            return word
        changed = word.translate(ALIKE)
        return changed if changed.isascii() else word

    return TOKEN.sub(latin, text)
