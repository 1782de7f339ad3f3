"""Count what a corpus says about each entity, and account for every row."""
