"""Blob stores: immutable data named by its SHA-256, on local disk or S3 through obstore."""

from pathlib import Path

from obstore.store import LocalStore


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


def _path(digest: str) -> str:
    # Two levels of folders keep each of them small.
    return f"{digest[:2]}/{digest[2:4]}/{digest}"
