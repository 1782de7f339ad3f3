"""The Medical Entity Tree: vocabularies in, one tree out, mentions linked to it, coverage measured on it."""
