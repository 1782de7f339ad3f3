"""What stages over shards share: unfinished work, jobs, joined files, the account, records of their rows."""
