"""The built-in model `builtin/extractive`: it calls tools and answers by quoting what they gave."""

MODEL = "builtin/extractive"
PROVIDER = "builtin"
