"""Documents that are no running text, by the rules of Rae et al. 2021 (Gopher, appendix A.1.1), with the
limits that medical text needs.

Medical prose has longer words, and lists of findings and values more numbers and bullets, than web pages:
letters are asked of 60 % of the words (there 80 %), and the mean word may have 12 characters (there 10).
Texts in scripts without spaces are not judged.
"""

import re

from medxiaohe.types import Message, Sample

MEAN_WORD = (3.0, 12.0)
MAX_SYMBOLS, MAX_BULLETS, MAX_ELLIPSES, MIN_WITH_LETTERS = 0.1, 0.9, 0.3, 0.6
STOPWORDS, MIN_STOPWORDS, ENOUGH_WORDS = frozenset("the be to of and that have with".split()), 2, 50
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
KEEPS = Sample("1", (Message("document", ("Aspirin inhibits the platelets of patients with angina. " * 9,)),))
DROPS = Sample("2", (Message("document", ("12.5 140 / 90 36.6 98 % 7.4 " * 9,)),))


def low_quality(sample: Sample) -> str:
    """Drop documents that are not running text, by the rules of Gopher.

    Args:
        sample: a row of the corpus.

    Returns:
        the reason of the drop, or "" to keep the row
    """
    if not sample.is_document:
        return ""
    text = sample.text
    words, lines = text.split(), [line.strip() for line in text.splitlines() if line.strip()]
    if not words or len(UNSPACED.findall(text)) > 0.3 * len(text):
        return ""
    mean = sum(map(len, words)) / len(words)
    if not MEAN_WORD[0] <= mean <= MEAN_WORD[1]:
        return f"the mean word has {mean:.1f} characters"
    if (symbols := (text.count("#") + text.count("...") + text.count("…")) / len(words)) > MAX_SYMBOLS:
        return f"{symbols:.0%} as many # and ... as words"
    if len(lines) > 3 and (bullets := sum(line[0] in "•-*‣▪●◦" for line in lines) / len(lines)) > MAX_BULLETS:
        return f"{bullets:.0%} of the lines are bullets"
    if (
        len(lines) > 3
        and (ellipses := sum(line.endswith(("...", "…")) for line in lines) / len(lines)) > MAX_ELLIPSES
    ):
        return f"{ellipses:.0%} of the lines end in an ellipsis"
    if (letters := sum(any(c.isalpha() for c in word) for word in words) / len(words)) < MIN_WITH_LETTERS:
        return f"{letters:.0%} of the words have a letter"
    if (
        len(words) >= ENOUGH_WORDS
        and (stop := len(STOPWORDS & {word.lower() for word in words})) < MIN_STOPWORDS
    ):
        return f"{stop} of the commonest English words"
    return ""
