"""Scopes, roles, and which role has which scopes: the one table of permissions."""

from enum import StrEnum


class PlatformRole(StrEnum):
    """Standing of a user on the whole platform, lowest first."""

    USER = "user"
    ADMIN = "admin"
    SUPERADMIN = "superadmin"

    @property
    def rank(self) -> int:
        return list(PlatformRole).index(self)


class ProjectRole(StrEnum):
    """Standing of a member in one project, lowest first."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        return list(ProjectRole).index(self)


class Scope(StrEnum):
    """What an operation requires. `read` scopes look, `write` scopes change, others do."""

    PROFILE_READ = "profile:read"
    PROFILE_WRITE = "profile:write"
    API_KEYS_READ = "api-keys:read"
    API_KEYS_WRITE = "api-keys:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    AUDIT_READ = "audit:read"
    PLATFORM_WRITE = "platform:write"
    PROJECTS_CREATE = "projects:create"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    EVENTS_READ = "events:read"
    SECRETS_READ = "secrets:read"
    SECRETS_WRITE = "secrets:write"
    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    MODELS_INVOKE = "models:invoke"
    TOOLS_READ = "tools:read"
    TOOLS_WRITE = "tools:write"
    TOOLS_INVOKE = "tools:invoke"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_WRITE = "templates:write"
    AGENTS_READ = "agents:read"
    AGENTS_WRITE = "agents:write"
    AGENTS_REGISTER = "agents:register"
    MEMORIES_READ = "memories:read"
    MEMORIES_WRITE = "memories:write"
    MESSAGES_READ = "messages:read"
    MESSAGES_WRITE = "messages:write"
    COLLABORATION_READ = "collaboration:read"
    COLLABORATION_WRITE = "collaboration:write"
    REVIEWS_READ = "reviews:read"
    REVIEWS_WRITE = "reviews:write"
    REVIEWS_DECIDE = "reviews:decide"
    LOGS_WRITE = "logs:write"
    CREWS_READ = "crews:read"
    CREWS_WRITE = "crews:write"
    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    RUNS_READ = "runs:read"
    RUNS_EXECUTE = "runs:execute"
    GENERATION_INVOKE = "generation:invoke"
    WORKERS_READ = "workers:read"
    WORKERS_WRITE = "workers:write"
    WORKERS_APPROVE = "workers:approve"
    WORKFLOWS_READ = "workflows:read"
    WORKFLOWS_WRITE = "workflows:write"
    AGENT_PROJECTS_READ = "agent-projects:read"
    AGENT_PROJECTS_WRITE = "agent-projects:write"
    APPROVALS_READ = "approvals:read"
    APPROVALS_WRITE = "approvals:write"
    APPROVALS_DECIDE = "approvals:decide"
    BUDGETS_READ = "budgets:read"
    BUDGETS_WRITE = "budgets:write"
    BREAKERS_READ = "breakers:read"
    BREAKERS_WRITE = "breakers:write"
    INCIDENTS_READ = "incidents:read"
    INCIDENTS_WRITE = "incidents:write"
    INCIDENTS_REPORT = "incidents:report"
    POLICIES_READ = "policies:read"
    POLICIES_WRITE = "policies:write"
    ACTIONS_READ = "actions:read"
    ACTIONS_WRITE = "actions:write"
    REPORTS_READ = "reports:read"
    REPORTS_WRITE = "reports:write"
    ACCESS_RULES_READ = "access-rules:read"
    ACCESS_RULES_WRITE = "access-rules:write"
    ACCESS_RULES_CHECK = "access-rules:check"
    TRIGGERS_READ = "triggers:read"
    TRIGGERS_WRITE = "triggers:write"
    MARKETPLACE_READ = "marketplace:read"
    MARKETPLACE_WRITE = "marketplace:write"
    DEAD_LETTERS_READ = "dead-letters:read"
    DEAD_LETTERS_WRITE = "dead-letters:write"


_EVERYONE = frozenset(
    {
        Scope.PROFILE_READ,
        Scope.PROFILE_WRITE,
        Scope.API_KEYS_READ,
        Scope.API_KEYS_WRITE,
        Scope.PROJECTS_CREATE,
    }
)
_ADMIN = _EVERYONE | {
    Scope.USERS_READ,
    Scope.USERS_WRITE,
    Scope.AUDIT_READ,
    Scope.BREAKERS_READ,
    Scope.BREAKERS_WRITE,
    Scope.ACCESS_RULES_CHECK,
    Scope.WORKERS_APPROVE,
    Scope.DEAD_LETTERS_READ,
    Scope.DEAD_LETTERS_WRITE,
}

PLATFORM_SCOPES: dict[PlatformRole, frozenset[Scope]] = {
    PlatformRole.USER: _EVERYONE,
    PlatformRole.ADMIN: _ADMIN,
    PlatformRole.SUPERADMIN: _ADMIN
    | {Scope.PLATFORM_WRITE, Scope.ACCESS_RULES_READ, Scope.ACCESS_RULES_WRITE},
}

_VIEWER = frozenset(
    {
        Scope.PROJECTS_READ,
        Scope.EVENTS_READ,
        Scope.SECRETS_READ,
        Scope.MODELS_READ,
        Scope.TOOLS_READ,
        Scope.TEMPLATES_READ,
        Scope.AGENTS_READ,
        Scope.CREWS_READ,
        Scope.TASKS_READ,
        Scope.MEMORIES_READ,
        Scope.MESSAGES_READ,
        Scope.COLLABORATION_READ,
        Scope.REVIEWS_READ,
        Scope.RUNS_READ,
        Scope.WORKERS_READ,
        Scope.WORKFLOWS_READ,
        Scope.AGENT_PROJECTS_READ,
        Scope.APPROVALS_READ,
        Scope.BUDGETS_READ,
        Scope.INCIDENTS_READ,
        Scope.POLICIES_READ,
        Scope.ACTIONS_READ,
        Scope.REPORTS_READ,
        Scope.TRIGGERS_READ,
        Scope.MARKETPLACE_READ,
    }
)
_OPERATOR = _VIEWER | {
    Scope.MODELS_INVOKE,
    Scope.TOOLS_INVOKE,
    Scope.MESSAGES_WRITE,
    Scope.COLLABORATION_WRITE,
    Scope.REVIEWS_WRITE,
    Scope.REVIEWS_DECIDE,
    Scope.RUNS_EXECUTE,
    Scope.GENERATION_INVOKE,
    Scope.APPROVALS_WRITE,
    Scope.APPROVALS_DECIDE,
    Scope.INCIDENTS_WRITE,
    Scope.REPORTS_WRITE,
}
_EDITOR = _OPERATOR | {
    Scope.SECRETS_WRITE,
    Scope.MODELS_WRITE,
    Scope.TOOLS_WRITE,
    Scope.TEMPLATES_WRITE,
    Scope.AGENTS_WRITE,
    Scope.TASKS_WRITE,
    Scope.WORKFLOWS_WRITE,
    Scope.AGENT_PROJECTS_WRITE,
    Scope.AGENTS_REGISTER,
    Scope.CREWS_WRITE,
    Scope.MEMORIES_WRITE,
    Scope.LOGS_WRITE,
    Scope.WORKERS_WRITE,
    Scope.INCIDENTS_REPORT,
    Scope.POLICIES_WRITE,
    Scope.ACTIONS_WRITE,
    Scope.TRIGGERS_WRITE,
    Scope.MARKETPLACE_WRITE,
}

PROJECT_SCOPES: dict[ProjectRole, frozenset[Scope]] = {
    ProjectRole.VIEWER: _VIEWER,
    ProjectRole.OPERATOR: _OPERATOR,
    ProjectRole.EDITOR: _EDITOR,
    ProjectRole.OWNER: _EDITOR
    | {
        Scope.PROJECTS_WRITE,
        Scope.BUDGETS_WRITE,
    },
    ProjectRole.OWNER: _EDITOR | {Scope.PROJECTS_WRITE, Scope.BUDGETS_WRITE},
}

AGENT_KEY_SCOPES = frozenset(
    {
        Scope.AGENTS_REGISTER,
        Scope.LOGS_WRITE,
        Scope.INCIDENTS_REPORT,
        Scope.POLICIES_READ,
    }
)
"""All that a key of kind `agent` can ever do."""


def scopes_of(platform: PlatformRole, project: ProjectRole | None) -> frozenset[Scope]:
    """Return what a user with these roles may do."""
    of_project = PROJECT_SCOPES[project] if project else frozenset[Scope]()
    return PLATFORM_SCOPES[platform] | of_project
