"""From raw corpora to what a trainer reads: read (and link), curate, mix. Readers and filters are one file
each."""
