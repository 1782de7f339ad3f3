"""Find duplicates and leaked test items: word n-grams, edited copies, near-identical images."""
