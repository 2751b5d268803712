"""Paths, URLs and mail addresses as they occur in text."""

import re

URL = re.compile(r"https?://[^\s<>\"'()\[\]{}]{2,500}[^\s<>\"'()\[\]{}.,;:!?]")
PATH = re.compile(
    r"(?<![\w/:.-])(?:[\w.\-]{1,100}/){0,12}[\w\-][\w.\-]{0,100}?"
    r"\.(?:md|txt|csv|json|ya?ml|pdf|docx?|html?|xml|log|py|rst|tsv|toml|ini|xlsx)\b"
)
EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")


def without_addresses(text: str) -> str:
    """Return `text` without paths and URLs, which are opened and not searched for."""
    return PATH.sub(" ", URL.sub(" ", text))
