"""Strict parsers and scorers, one file for each kind of answer. Nothing is guessed: no clear answer means
unparsed."""
