"""Oracles: scripted roles that are right with a known probability, and the accuracy computed from it."""
