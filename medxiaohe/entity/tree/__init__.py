"""Build and query the Medical Entity Tree."""
