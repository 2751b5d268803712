"""Identifiers: UUIDv7 as text, sortable by the time they were made."""

from uuid import NAMESPACE_URL, uuid5

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 in its canonical 36-character form."""
    return str(uuid_utils.uuid7())


def stable_id(*parts: str) -> str:
    """Return the same UUID for the same parts: for things that ship with the product."""
    return str(uuid5(NAMESPACE_URL, "muster:" + ":".join(parts)))
