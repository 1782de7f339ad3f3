"""Recipes: a YAML file of stages, checked before anything runs, run one resumable stage at a time."""
