"""Tests of the control slices."""
