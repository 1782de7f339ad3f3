"""Privacy: the guard in front of every remote call."""
