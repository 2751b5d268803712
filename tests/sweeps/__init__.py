"""Sweeps: what holds for every operation, those of tomorrow too."""
