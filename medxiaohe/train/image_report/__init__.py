"""Modules of the stage train.motor: pairs, tags and their graph, triplets, losses, the training loop,
metrics.
"""
