"""Draw the rows of a mixture: quotas, sampling, external sorting."""
