"""What agents and people say to each other: messages, collaboration sessions, code reviews."""
