"""Rewards of reinforcement learning: safety before correctness, and correctness before form (MedXIAOHE)."""
