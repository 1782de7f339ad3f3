"""Other trainers to write data and settings for: one file each, found by its name (train/export.py)."""
