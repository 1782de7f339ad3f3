"""Link mentions in text to entities of the tree."""
