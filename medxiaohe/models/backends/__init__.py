"""Backends: ways to get an answer from a model. One file each, all with the interface `types.Model`."""
