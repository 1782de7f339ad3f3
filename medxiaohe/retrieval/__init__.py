"""Finding passages: documents, and indexes over them."""
