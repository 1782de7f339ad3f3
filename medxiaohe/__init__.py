"""The open recipe for medical multimodal language models that can be checked."""

__version__ = "0.1.0"
