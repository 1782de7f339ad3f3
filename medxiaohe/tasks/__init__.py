"""Tasks: one file each. A task is a benchmark and a training environment: samples, and the way to judge them."""
