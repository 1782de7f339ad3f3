"""What is particular to a family of vision-language models: one file each, found by the class of its
processor."""
