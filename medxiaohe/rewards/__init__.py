"""What reinforcement learning maximises: scorers, put together so that safety comes first and correctness
before form (MedXIAOHE)."""
