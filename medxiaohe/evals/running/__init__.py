"""Run one model on tasks: items, replies, scores, resumption."""
