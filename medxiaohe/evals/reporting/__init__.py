"""Write, compare and reproduce results."""
