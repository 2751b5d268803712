"""Who is calling, in which project, and what they may do."""

from muster.platform.access.caller import Caller, CallerKind
from muster.platform.access.dependencies import (
    CurrentCaller,
    current_caller,
    identify,
    requires,
    requires_login,
)
from muster.platform.access.scopes import (
    AGENT_KEY_SCOPES,
    PLATFORM_SCOPES,
    PROJECT_SCOPES,
    PlatformRole,
    ProjectRole,
    Scope,
    scopes_of,
)

__all__ = [
    "AGENT_KEY_SCOPES",
    "PLATFORM_SCOPES",
    "PROJECT_SCOPES",
    "Caller",
    "CallerKind",
    "CurrentCaller",
    "PlatformRole",
    "ProjectRole",
    "Scope",
    "current_caller",
    "identify",
    "requires",
    "requires_login",
    "scopes_of",
]
