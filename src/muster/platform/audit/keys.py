"""The keys that checkpoints are signed with: made at first use, kept sealed."""

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.platform.access import Caller
from muster.platform.audit.errors import AuditKeyBroken
from muster.platform.audit.events import AuditKeyCreated
from muster.platform.audit.models import AuditKey
from muster.platform.audit.notes import PublicKey
from muster.platform.events import PLATFORM_CHAIN, record


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A pair of keys, opened. The private one has no readable form, so that no log can show it."""

    public: PublicKey
    pair: Ed25519PrivateKey


async def signing_key(database: Database, master_key: MasterKey) -> SigningKey:
    """Return the pair of keys of this master key; makes it where there is none."""
    async with database.read() as session:
        row = await _of(session, master_key)
    if row is None:
        await _make(database, master_key)
        async with database.read() as session:
            row = await _of(session, master_key)
    assert row is not None  # noqa: S101 - made above, by this process or by another
    return _opened(row, master_key)


def _opened(row: AuditKey, master_key: MasterKey) -> SigningKey:
    public = PublicKey(row.name, row.public_key)
    try:
        pair = Ed25519PrivateKey.from_private_bytes(
            base64.b64decode(master_key.open(row.sealed, context=_context(row.id)))
        )
    except ValueError as error:
        raise _broken(row) from error
    if public.id != row.id or pair.public_key().public_bytes_raw() != public.raw:
        # What it signs could not be verified with the key that people have.
        raise _broken(row)
    return SigningKey(public, pair)


def _broken(row: AuditKey) -> AuditKeyBroken:
    return AuditKeyBroken(
        f"The key {row.id} in the database was changed. Restore the table audit_keys from a backup."
    )


async def _of(session: AsyncSession, master_key: MasterKey) -> AuditKey | None:
    found: AuditKey | None = await session.scalar(
        select(AuditKey).where(AuditKey.master_key_id == master_key.id)
    )
    return found


async def _make(database: Database, master_key: MasterKey) -> None:
    pair = Ed25519PrivateKey.generate()
    public = PublicKey.of(pair.public_key().public_bytes_raw())
    sealed = master_key.seal(
        base64.b64encode(pair.private_bytes_raw()).decode(), context=_context(public.id)
    )
    async with database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert
        else:
            from sqlalchemy.dialects.sqlite import insert
        # Two processes may come here at the same moment: one pair is kept.
        made = await session.scalar(
            insert(AuditKey)
            .values(
                id=public.id,
                name=public.name,
                public_key=public.raw,
                master_key_id=sealed.key_id,
                wrapped_key=sealed.wrapped_key,
                ciphertext=sealed.ciphertext,
            )
            .on_conflict_do_nothing()
            .returning(AuditKey.id)
        )
        if made is not None:
            fact = AuditKeyCreated(key_id=public.id, public_key=public.base64)
            record(session, Caller.system(PLATFORM_CHAIN), fact)


def _context(key_id: str) -> str:
    return f"audit-key:{key_id}"
