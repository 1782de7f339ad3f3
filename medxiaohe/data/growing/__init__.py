"""Add new entities from literature to a tree."""
