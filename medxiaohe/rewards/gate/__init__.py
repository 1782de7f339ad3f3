"""Safety gate: tables of drugs, doses and signs with sources, parsers of replies, and rules."""
