"""Models: checkpoints in Hugging Face layout, one render of messages to tokens, backends that answer."""
