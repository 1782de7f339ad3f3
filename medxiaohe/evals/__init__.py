"""Evaluation: run a model on tasks, compare models with paired tests."""
