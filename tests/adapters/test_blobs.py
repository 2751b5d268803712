"""Blobs on the local disk."""

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from muster.adapters.blobs import LocalBlobStore

pytestmark = pytest.mark.anyio


def named(data: bytes) -> tuple[str, bytes]:
    return sha256(data).hexdigest(), data


async def test_what_is_put_can_be_got(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "new" / "blobs")
    for content in (b"", b"\0\xff", b"x" * 300_000):
        digest, data = named(content)
        await store.put(digest, data)
        found = await store.get(digest)
        assert type(found) is bytes
        assert found == data


async def test_another_store_on_the_folder_sees_it(tmp_path: Path) -> None:
    digest, data = named(b"kept")
    await LocalBlobStore(tmp_path).put(digest, data)
    assert await LocalBlobStore(tmp_path).get(digest) == data
    assert (tmp_path / digest[:2] / digest[2:4] / digest).read_bytes() == data


async def test_putting_it_again_is_harmless(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    digest, data = named(b"same" * 10_000)
    await asyncio.gather(*(store.put(digest, data) for _ in range(20)))
    assert await store.get(digest) == data
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [
        tmp_path / digest[:2] / digest[2:4] / digest
    ]


async def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await LocalBlobStore(tmp_path).get(named(b"never")[0])


async def test_no_digest_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    store = LocalBlobStore(tmp_path / "blobs")
    for digest in ("../../../secret", "..", "/etc/passwd"):
        with pytest.raises((FileNotFoundError, ValueError, OSError)):
            await store.get(digest)
