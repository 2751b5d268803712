"""Domain-free building blocks. Imports nothing else of Muster."""
