"""Tables of accounts, sessions and keys."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.db import Base, Json, Record, UTCDateTime
from muster.platform.access import PlatformRole


class User(Record):
    """An account. A deleted one stays as a tombstone, so that history keeps its names."""

    __tablename__ = "users"
    __table_args__ = (Index("ix_users_role_is_active", "role", "is_active"),)

    email: Mapped[str] = mapped_column(String(320), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(16), default=PlatformRole.USER.value)
    is_active: Mapped[bool] = mapped_column(default=True)
    picture: Mapped[str | None] = mapped_column(String(2000), default=None)
    password_hash: Mapped[str | None] = mapped_column(String(255), default=None)
    personal_project_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("projects.id"), unique=True, default=None
    )
    active_project_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("projects.id", ondelete="SET NULL"), index=True, default=None
    )
    last_login_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)

    @property
    def platform_role(self) -> PlatformRole:
        return PlatformRole(self.role)

    @property
    def is_admin(self) -> bool:
        return self.platform_role.rank >= PlatformRole.ADMIN.rank

    @property
    def has_password(self) -> bool:
        return self.password_hash is not None


class UserSession(Base):
    """One sign-in on one device; the family of the refresh tokens that follow each other."""

    __tablename__ = "user_sessions"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    user_agent: Mapped[str | None] = mapped_column(String(255))
    ip: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    last_used_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    revoked_reason: Mapped[str | None] = mapped_column(String(40), default=None)


class RefreshToken(Base):
    """A refresh token by its hash. `replaced_at` marks one that was used: a second use is theft."""

    __tablename__ = "refresh_tokens"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("user_sessions.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    replaced_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)


class SignInFailures(Base):
    """Failed sign-ins with one e-mail, whether or not it has an account.

    A lock that only real accounts could get would tell which accounts are real.
    """

    __tablename__ = "sign_in_failures"

    email_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    last_failed_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    locked_until: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)


class Invitation(Base):
    """A token, by its hash, with which a person sets the password of an account made for them."""

    __tablename__ = "invitations"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)


class KeyKind(StrEnum):
    """Whom a key stands for: an agent that registers itself, or its user."""

    AGENT = "agent"
    USER = "user"


class ApiKey(Record):
    """A key to the API, by its hash. It works in one project."""

    __tablename__ = "api_keys"

    user_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(8))
    scopes: Mapped[list[Any] | None] = mapped_column(Json)
    prefix: Mapped[str] = mapped_column(String(24))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=None)

    @property
    def masked(self) -> str:
        return f"{self.prefix}…"

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None
