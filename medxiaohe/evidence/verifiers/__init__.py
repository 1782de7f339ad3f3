"""Verifiers of claims, one in each file: (claims, evidence) -> one ruling for each claim."""
