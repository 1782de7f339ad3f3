"""The sentences of a reply or report as texts, and the short statements they are made of."""

import re

from medxiaohe.entity.linking.sentences import sentence_ends

ITEM = re.compile(r"\s*(?:[-*•·–#]+|\(?\d{1,2}[.)]|\([a-z]\))\s+")
GLUED = re.compile(r"(?<=[a-z]{2})\.(?=[A-Z][a-z])")  # "apex.There are", as reports are written


def sentences(text: str) -> list[str]:
    """In order, without the marks of lists; what has no letter is none."""
    text, start, found = GLUED.sub(". ", text), 0, []
    for end in sentence_ends(text):
        piece = " ".join(text[start:end].split())
        start = end
        if item := ITEM.match(f"{piece} "):
            piece = piece[item.end() :]
        if any(letter.isalpha() for letter in piece):
            found.append(piece)
    return found


def phrases(text: str) -> list[str]:
    """Each sentence once: what is compared where no model splits a text into claims."""
    return list(dict.fromkeys(sentences(text)))
