"""Texts that the classifier of data.classify finds improbable to be about medicine, and texts that it has not
seen.

It says nothing of rows with images and of texts of fewer than 20 words: "Dermoscopy; malignant: 0." tells it
too little.
"""

from dataclasses import replace

from medxiaohe.data.duplicates import overlap
from medxiaohe.types import Annotations, Medical, Message, Sample

MIN_PROBABILITY, MIN_WORDS = 0.5, 20
KEEPS = Sample(
    "1",
    (Message("document", ("The dose of aspirin is 100 mg a day. " * 4,)),),
    annotations=Annotations(medical=Medical(0.9, 1)),
)
DROPS = replace(KEEPS, id="2", annotations=Annotations(medical=Medical(0.1, 1)))


def medical(sample: Sample) -> str:
    """Drop texts that data.classify finds improbable to be medical.

    Args:
        sample: a row of the corpus.

    Returns:
        the reason of the drop, or "" to keep the row
    """
    label = sample.annotations.medical
    if label is None:
        return "not classified: run data.classify before data.curate"
    if sample.images or len(overlap.words(sample.text)) < MIN_WORDS:
        return ""
    if label.probability >= MIN_PROBABILITY:
        return ""
    return f"{label.probability:.0%} likely to be medical, round {label.round}"
