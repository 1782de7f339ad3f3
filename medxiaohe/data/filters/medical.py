"""Texts that the classifier of data.classify finds improbable to be about medicine, and texts that it has not
seen.

It says nothing of rows with images and of texts of fewer than 20 words: "Dermoscopy; malignant: 0." tells it
too little.
"""

from medxiaohe.data.duplicates import overlap
from medxiaohe.types import Sample

MIN_PROBABILITY, MIN_WORDS = 0.5, 20


def medical(sample: Sample) -> str:
    found = sample.annotations.medical
    if found is None:
        return "not classified: run data.classify before data.curate"
    if sample.images or len(overlap.words(sample.text)) < MIN_WORDS:
        return ""
    if found.probability >= MIN_PROBABILITY:
        return ""
    return f"{found.probability:.0%} likely to be medical, round {found.round}"
