"""Export data and settings to other trainers: one file each, found by its name (see export.py)."""
