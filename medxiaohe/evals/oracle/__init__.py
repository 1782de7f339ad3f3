"""Scripted roles that are right with a known probability, and what comes of them by computation."""
