"""Learn to tag mentions from annotated text: CRF, encoder, features, evaluation."""
