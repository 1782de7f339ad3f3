"""Weights of a package, renamed to the layout transformers loads: one file a converter, found by its name."""
