"""Sections of the pages about runs, corpora and evaluations."""
