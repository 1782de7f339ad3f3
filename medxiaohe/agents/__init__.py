"""Workflows: one file each. A workflow takes prompts, which hold no gold, and returns traces."""
