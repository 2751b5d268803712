"""Runs and their journal."""
