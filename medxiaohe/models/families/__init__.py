"""Adapters of families of vision-language models: one file each, selected by the class of the processor."""
