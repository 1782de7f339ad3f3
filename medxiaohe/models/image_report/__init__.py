"""The image-report model of MOTOR (arXiv 2304.14204): networks, vocabulary, and how images become vectors."""
