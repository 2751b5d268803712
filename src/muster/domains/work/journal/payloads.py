"""Payloads of steps: JSON texts, the long ones in the blob store."""

from hashlib import sha256
from typing import Any, Protocol

from muster.kernel.chain import canonical

_PREVIEW = 500
MARK = "$blob"


class BlobStore(Protocol):
    """Where long payloads lie, named by what they contain."""

    async def put(self, digest: str, data: bytes) -> None:
        """Store `data` durably; storing it again is harmless."""
        ...

    async def get(self, digest: str) -> bytes:
        """Return what was stored."""
        ...


async def stored_value(value: Any, blobs: BlobStore, threshold: int) -> str:
    """Return the text that the journal keeps for a value."""
    text = canonical(value)
    if len(text) <= threshold:
        return text.decode()
    digest = sha256(text).hexdigest()
    # Stored before the row that names it is committed: a row never points to nothing.
    await blobs.put(digest, text)
    preview = text[:_PREVIEW].decode("utf-8", "ignore")
    return canonical({MARK: {"sha256": digest, "bytes": len(text), "preview": preview}}).decode()
