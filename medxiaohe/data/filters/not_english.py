"""Text in another language, by the share of the commonest English words in it (Gopher, Rae et al. 2021, A.1.1).

English prose has 25 to 45 %; other languages below 5 %. Texts of fewer than 20 words are not judged.
"""

import re

from medxiaohe.types import Sample

COMMON = frozenset("the of and in to a is for with that was by on as are be or from at this which an were it not have had no".split())
MIN_WORDS, MIN_SHARE = 20, 0.08


def not_english(sample: Sample) -> str:
    words = re.findall(r"[^\W\d_]+", sample.text.lower())
    share = sum(word in COMMON for word in words) / max(1, len(words))
    han = len(re.findall(r"[\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7af]", sample.text))  # written without spaces
    if han > 20 or (len(words) >= MIN_WORDS and share < MIN_SHARE):
        return f"{share:.0%} of the words are common English words"
    return ""
