"""Training stages over TRL: continual pretraining, supervised fine-tuning, reinforcement learning."""
