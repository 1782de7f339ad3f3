"""Sample answers and conversations from a policy and reward them."""
