"""Facts about the audit log itself."""

from typing import ClassVar

from muster.platform.events import Event


class AuditExported(Event, frozen=True, kw_only=True):
    """In the chain that was exported: a project's, or that of the platform."""

    type: ClassVar[str] = "audit.exported"
    subject: ClassVar[str] = "chain"
    chain_id: str
    first_seq: int
    last_seq: int


class AuditKeyCreated(Event, frozen=True, kw_only=True):
    """From here on checkpoints are signed with another key."""

    type: ClassVar[str] = "audit.key_created"
    subject: ClassVar[str] = "key"
    platform_wide: ClassVar[bool] = True
    key_id: str
    public_key: str
