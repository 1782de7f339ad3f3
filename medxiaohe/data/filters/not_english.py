"""Text in another language: it has more of that language's commonest words than of English ones, or another
script.

A list of findings has neither and is kept; texts of fewer than 20 words are not judged.
"""

import re

from medxiaohe.types import Message, Sample

MIN_WORDS, MAX_OTHER_LETTERS = 20, 0.3
ENGLISH = frozenset(
    "the of and to is for with that was by on as are be or from at this which an were it not have".split()
)
OTHER = frozenset(
    """
    der die das und den von mit ist des dem ein eine nicht bei wurde werden durch
    le la les des du et une dans pour par sur est que qui avec chez sont aux ces
    el los las una del por con para como se que es en
    il di che per con una nel della delle dei sono
    het een van voor met zijn bij niet
    um uma dos das com em os ao nos
    och att som av det har
    """.split()
)
WORD = re.compile(r"[^\W\d_]+")
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
KEEPS = Sample(
    "1", (Message("document", ("The patient was admitted with fever and cough to the hospital. " * 3,)),)
)
DROPS = Sample(
    "2",
    (Message("document", ("Die Patientin wurde mit Fieber und Husten in der Klinik aufgenommen. " * 3,)),),
)


def not_english(sample: Sample) -> str:
    """Drop texts in another language.

    Args:
        sample: a row of the corpus.

    Returns:
        the reason of the drop, or "" to keep the row
    """
    text = sample.text.lower()
    words = WORD.findall(text)
    letters = sum(map(len, words))
    other_script = 1 - len(LATIN.findall(text)) / letters if letters else 0.0
    if letters >= MIN_WORDS and other_script > MAX_OTHER_LETTERS:  # Chinese is written without spaces
        return f"{other_script:.0%} of the letters are not Latin"
    english, foreign = sum(word in ENGLISH for word in words), sum(word in OTHER for word in words)
    if len(words) >= MIN_WORDS and foreign > english:
        return f"{foreign} common words of other languages, {english} of English"
    return ""
