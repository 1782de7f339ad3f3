"""Tasks with their workflow and tools as environments of other trainers, over the same engine."""
