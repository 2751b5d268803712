"""What is said about the work that was done: reports."""
