"""Clean rows: text normalisation, curation rules, a linear classifier."""
