"""What the project's own checks are made of; nothing here is shipped."""
