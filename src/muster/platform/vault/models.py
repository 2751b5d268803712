"""Tables of the vault."""

from datetime import datetime
from typing import Literal

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.crypto import Sealed
from muster.kernel.db import Base, ProjectRecord, UTCDateTime


class Secret(ProjectRecord):
    """A sealed value. `hint` is its last four characters, kept for long values only."""

    __tablename__ = "secrets"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    name: Mapped[str] = mapped_column(String(255))
    service: Mapped[str | None] = mapped_column(String(80), default=None)
    description: Mapped[str | None] = mapped_column(String(2000), default=None)
    key_id: Mapped[str | None] = mapped_column(String(16), default=None)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)
    ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)
    hint: Mapped[str | None] = mapped_column(String(4), default=None)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)

    @property
    def sealed(self) -> Sealed | None:
        """The encrypted value, None where none is set."""
        if self.key_id is None or self.wrapped_key is None or self.ciphertext is None:
            return None
        return Sealed(self.key_id, self.wrapped_key, self.ciphertext)

    @property
    def value(self) -> Literal["Set", "Not set"]:
        """All that is ever told about the value itself."""
        return "Set" if self.sealed else "Not set"

    @property
    def key_hint(self) -> str | None:
        return f"…{self.hint}" if self.hint else None

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= clock.now()


class KnownMasterKey(Base):
    """A master key that this database was used with; only its id is kept."""

    __tablename__ = "master_keys"

    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
