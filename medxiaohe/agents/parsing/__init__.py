"""Parsers of replies: votes, answers, JSON; and the prompts that a user may replace."""
