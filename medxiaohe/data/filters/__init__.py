"""One filter a file: `def NAME(sample: Sample) -> str` returns "" to keep a sample, or the reason of its
drop."""
