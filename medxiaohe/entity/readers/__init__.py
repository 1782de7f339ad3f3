"""One file is one vocabulary format: a function of the file's name yields entities; `EXAMPLE` is a tiny
input.

A reader that skips terms counts them: it is a generator whose `return` value is {reason: number skipped}.
"""
