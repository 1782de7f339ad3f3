"""Retrieval of passages: documents, and indexes over them."""
