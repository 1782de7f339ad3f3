"""Perturbations of questions, one file each.

    def NAME(sample: Sample, around: Around) -> Sample | None

returns the changed sample, with its gold changed too if needed, or None if it does not apply.
EXPECTS is what a sound model does: "right" stays right, "lost" no longer has what the answer needs, so right
answers are suspicious. EXAMPLE is a sample it applies to.
"""
