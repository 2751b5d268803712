"""Identity: accounts, sign-in, sessions and API keys."""

from muster.platform.identity.accounts import add_account, ensure_superadmin
from muster.platform.identity.api_keys import revoke_keys
from muster.platform.identity.credentials import Credentials
from muster.platform.identity.errors import (
    CallerInactive,
    InvalidAuthorizationHeader,
    InvalidToken,
    MissingAuth,
    MissingToken,
    ProjectNotFound,
    TokenExpired,
    UserNotFound,
)
from muster.platform.identity.hooks import UserHook, register_user_hook
from muster.platform.identity.models import ApiKey, KeyKind, User, UserSession
from muster.platform.identity.sessions import Device, Tokens, open_session
from muster.platform.identity.tokens import KEY_PREFIX, digest

__all__ = [
    "KEY_PREFIX",
    "ApiKey",
    "CallerInactive",
    "Credentials",
    "Device",
    "InvalidAuthorizationHeader",
    "InvalidToken",
    "KeyKind",
    "MissingAuth",
    "MissingToken",
    "ProjectNotFound",
    "TokenExpired",
    "Tokens",
    "User",
    "UserHook",
    "UserNotFound",
    "UserSession",
    "add_account",
    "digest",
    "ensure_superadmin",
    "open_session",
    "register_user_hook",
    "revoke_keys",
]
