"""Gathering what a report says, in batches, as of one moment."""
