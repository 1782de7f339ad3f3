"""Texts that the classifier of data.classify finds improbable to be about medicine, and texts that it has not
seen.

It says nothing of rows with images and of texts of fewer than 20 words: "Dermoscopy; malignant: 0." tells it
too little.
"""

from medxiaohe.data.duplicates import overlap
from medxiaohe.types import Sample

MIN_PROBABILITY, MIN_WORDS = 0.5, 20


def medical(sample: Sample) -> str:
    said = sample.meta.get("medical")
    if not isinstance(said, dict) or "probability" not in said:
        return "not classified: run data.classify before data.curate"
    if sample.images or len(overlap.words(sample.text)) < MIN_WORDS:
        return ""
    chance = said["probability"]
    return f"{chance:.0%} likely to be medical, round {said.get('round')}" if chance < MIN_PROBABILITY else ""
