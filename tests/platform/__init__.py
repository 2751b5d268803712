"""Tests of the platform slices."""
