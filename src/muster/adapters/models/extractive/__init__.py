"""The built-in model `builtin/extractive`: it calls tools and answers by quoting what they gave."""

from muster.adapters.models.extractive.model import MODEL, PROVIDER, ExtractiveModel

__all__ = ["MODEL", "PROVIDER", "ExtractiveModel"]
