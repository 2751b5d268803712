"""Rules of the house: what holds for the whole repository, and the tools that see to it."""
