"""Texts that the classifier of data.classify finds improbable to be about medicine, and texts that it has not seen."""

from medxiaohe.types import Sample

MIN_PROBABILITY = 0.5


def medical(sample: Sample) -> str:
    said = sample.meta.get("medical")
    if not isinstance(said, dict) or "probability" not in said:
        return "not classified: run data.classify before data.curate"
    chance = said["probability"]
    return f"{chance:.0%} likely to be medical, round {said.get('round')}" if chance < MIN_PROBABILITY else ""
