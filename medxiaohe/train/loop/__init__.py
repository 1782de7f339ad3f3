"""The training loop shared by the stages: plan, rows, checkpoints, checks."""
