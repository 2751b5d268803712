"""The caller of an operation."""

from dataclasses import dataclass
from enum import StrEnum

from muster.platform.access.scopes import PlatformRole, ProjectRole, Scope


class CallerKind(StrEnum):
    """By what a caller identified itself."""

    USER = "user"
    USER_KEY = "user_key"
    AGENT_KEY = "agent_key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, where, and with which permissions.

    `project_id` is the project of the request; every project-bound query filters by it. `id` is the
    user on whose behalf the call is made, `key_id` and `session_id` by what they proved it.
    """

    kind: CallerKind
    id: str
    name: str
    role: PlatformRole
    project_id: str
    project_role: ProjectRole | None
    scopes: frozenset[Scope]
    key_id: str | None = None
    session_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Tell whether the caller has a scope."""
        return scope in self.scopes

    @property
    def is_admin(self) -> bool:
        """Tell whether the caller is an admin of the platform, or above."""
        return self.role.rank >= PlatformRole.ADMIN.rank

    @classmethod
    def system(cls, project_id: str, name: str = "system") -> "Caller":
        """Return the platform itself, acting in a project."""
        return cls(
            kind=CallerKind.SYSTEM,
            id="system",
            name=name,
            role=PlatformRole.SUPERADMIN,
            project_id=project_id,
            project_role=ProjectRole.OWNER,
            scopes=frozenset(Scope),
        )
