"""Perturbations: one file each, the same question asked another way.

    def NAME(sample: Sample, around: Around) -> Sample | None

gives the changed sample, with a gold that changed along where it does, or None where it does not apply.
EXPECTS says what a sound model does: "right" stays right, "lost" cannot know any more, so right answers are
suspicious. EXAMPLE is a sample it applies to.
"""
