"""Verifiers of claims, one a file: a function of claims and evidence that gives one ruling for each claim."""
