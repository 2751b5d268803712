"""Vertical slices of the product, in bands; a band knows the bands before it."""
