"""Facts about accounts, sign-in and keys; all of them are in the chain of the platform."""

from muster.platform.events import Event


class UserRegistered(Event, frozen=True, kw_only=True):
    type = "user.registered"
    subject = "user"
    platform_wide = True
    user_id: str
    email: str
    role: str
    is_active: bool


class UserCreated(Event, frozen=True, kw_only=True):
    type = "user.created"
    subject = "user"
    platform_wide = True
    user_id: str
    email: str
    role: str
    invited: bool


class UserUpdated(Event, frozen=True, kw_only=True):
    type = "user.updated"
    subject = "user"
    platform_wide = True
    user_id: str
    changed: list[str]
    role: str


class UserDeactivated(Event, frozen=True, kw_only=True):
    type = "user.deactivated"
    subject = "user"
    platform_wide = True
    user_id: str


class UserActivated(Event, frozen=True, kw_only=True):
    type = "user.activated"
    subject = "user"
    platform_wide = True
    user_id: str


class UserDeleted(Event, frozen=True, kw_only=True):
    type = "user.deleted"
    subject = "user"
    platform_wide = True
    user_id: str
    email: str


class UserLoggedIn(Event, frozen=True, kw_only=True):
    type = "user.logged_in"
    subject = "user"
    platform_wide = True
    user_id: str
    session_id: str
    ip: str | None


class UserLoginFailed(Event, frozen=True, kw_only=True):
    """`user_id` is null for an unknown e-mail, which is not kept: people type passwords there."""

    type = "user.login_failed"
    subject = "user"
    platform_wide = True
    user_id: str | None
    reason: str
    ip: str | None


class UserLocked(Event, frozen=True, kw_only=True):
    type = "user.locked"
    subject = "user"
    platform_wide = True
    user_id: str | None
    failures: int
    locked_until: str


class UserLoggedOut(Event, frozen=True, kw_only=True):
    type = "user.logged_out"
    subject = "user"
    platform_wide = True
    user_id: str
    session_id: str


class UserPasswordChanged(Event, frozen=True, kw_only=True):
    type = "user.password_changed"
    subject = "user"
    platform_wide = True
    user_id: str
    by: str


class SessionRevoked(Event, frozen=True, kw_only=True):
    type = "session.revoked"
    subject = "session"
    platform_wide = True
    session_id: str
    user_id: str
    reason: str


class ApiKeyCreated(Event, frozen=True, kw_only=True):
    type = "api_key.created"
    subject = "api_key"
    platform_wide = True
    api_key_id: str
    user_id: str
    bound_project_id: str
    kind: str
    name: str
    scopes: list[str] | None


class ApiKeyRevoked(Event, frozen=True, kw_only=True):
    type = "api_key.revoked"
    subject = "api_key"
    platform_wide = True
    api_key_id: str
    user_id: str
    reason: str
