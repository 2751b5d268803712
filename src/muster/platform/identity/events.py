"""Facts about accounts, sign-in and keys; all of them are in the chain of the platform."""

from dataclasses import dataclass

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRegistered(Event):
    type = "user.registered"
    subject = "user"
    platform_wide = True
    user_id: str
    email: str
    role: str
    is_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCreated(Event):
    type = "user.created"
    subject = "user"
    platform_wide = True
    user_id: str
    email: str
    role: str
    invited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUpdated(Event):
    type = "user.updated"
    subject = "user"
    platform_wide = True
    user_id: str
    changed: list[str]
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDeactivated(Event):
    type = "user.deactivated"
    subject = "user"
    platform_wide = True
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserActivated(Event):
    type = "user.activated"
    subject = "user"
    platform_wide = True
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDeleted(Event):
    type = "user.deleted"
    subject = "user"
    platform_wide = True
    user_id: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLoggedIn(Event):
    type = "user.logged_in"
    subject = "user"
    platform_wide = True
    user_id: str
    session_id: str
    ip: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLoginFailed(Event):
    """`user_id` is null for an unknown e-mail, which is not kept: people type passwords there."""

    type = "user.login_failed"
    subject = "user"
    platform_wide = True
    user_id: str | None
    reason: str
    ip: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLocked(Event):
    type = "user.locked"
    subject = "user"
    platform_wide = True
    user_id: str | None
    failures: int
    locked_until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLoggedOut(Event):
    type = "user.logged_out"
    subject = "user"
    platform_wide = True
    user_id: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPasswordChanged(Event):
    type = "user.password_changed"
    subject = "user"
    platform_wide = True
    user_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRevoked(Event):
    type = "session.revoked"
    subject = "session"
    platform_wide = True
    session_id: str
    user_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyCreated(Event):
    type = "api_key.created"
    subject = "api_key"
    platform_wide = True
    api_key_id: str
    user_id: str
    bound_project_id: str
    kind: str
    name: str
    scopes: list[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRevoked(Event):
    type = "api_key.revoked"
    subject = "api_key"
    platform_wide = True
    api_key_id: str
    user_id: str
    reason: str
