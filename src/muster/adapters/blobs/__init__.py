"""Blob stores: immutable data named by its SHA-256, on local disk or S3 through obstore."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from obstore.store import LocalStore

_PIECE_BYTES = 256 * 1024


class LocalBlobStore:
    """Blobs in a folder of the data directory."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._store = LocalStore(str(folder), mkdir=True)

    async def put(self, digest: str, data: bytes) -> None:
        """Store `data`; storing it again is harmless."""
        await self._store.put_async(_path(digest), data)

    async def get(self, digest: str) -> bytes:
        """Return what was stored, or raise `FileNotFoundError`."""
        found = await self._store.get_async(_path(digest))
        return bytes(await found.bytes_async())

    async def stream(self, digest: str) -> AsyncIterator[bytes]:
        """Return what was stored piece by piece, or raise `FileNotFoundError` at once."""
        found = await self._store.get_async(_path(digest))

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                yield bytes(piece)

        return pieces()

    async def delete(self, digest: str) -> None:
        """Delete what was stored; nothing happens where nothing is."""
        with suppress(FileNotFoundError):
            await self._store.delete_async(_path(digest))


def _path(digest: str) -> str:
    # Two levels of folders keep each of them small.
    return f"{digest[:2]}/{digest[2:4]}/{digest}"
