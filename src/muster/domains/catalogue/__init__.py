"""What runs are made of: models, tools, agents."""
