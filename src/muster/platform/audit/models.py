"""Tables of the audit log: the tree over the events, its signed states, and the keys."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.crypto import Sealed
from muster.kernel.db import Base, UTCDateTime
from muster.kernel.ids import new_id


class AuditTree(Base):
    """How many events of a chain are in its tree. Locked while the tree grows."""

    __tablename__ = "audit_trees"

    chain: Mapped[str] = mapped_column(String(36), primary_key=True)
    size: Mapped[int]


class AuditTile(Base):
    """Up to 256 hashes of one level of a tree; only ever made longer."""

    __tablename__ = "audit_tiles"

    chain: Mapped[str] = mapped_column(String(36), primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hashes: Mapped[bytes] = mapped_column(LargeBinary)


class AuditKey(Base):
    """A pair of keys for checkpoints: the private one sealed, the public one kept for ever.

    One for each master key: with another master key there is another pair, and what the earlier
    one signed can still be verified.
    """

    __tablename__ = "audit_keys"
    __table_args__ = (UniqueConstraint("master_key_id"),)

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    master_key_id: Mapped[str] = mapped_column(String(16))
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

    @property
    def sealed(self) -> Sealed:
        """The private key as it is stored."""
        return Sealed(self.master_key_id, self.wrapped_key, self.ciphertext)


class AuditCheckpoint(Base):
    """A signed state of a chain's tree. Rows are only ever inserted."""

    __tablename__ = "audit_checkpoints"
    __table_args__ = (UniqueConstraint("chain", "size"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    chain: Mapped[str] = mapped_column(String(36))
    size: Mapped[int]
    root: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    key_id: Mapped[str] = mapped_column(String(8), ForeignKey("audit_keys.id"))
    signature: Mapped[bytes] = mapped_column(LargeBinary)
