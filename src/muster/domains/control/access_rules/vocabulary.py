"""The words of access rules."""

from typing import Literal

from muster.platform.access import PlatformRole, ProjectRole

ScopeType = Literal["user", "group", "role"]
ResourceType = Literal["model", "agent", "tool"]
Effect = Literal["allow", "deny"]
ActionName = Literal["use", "*"]

SCOPE_TYPES: tuple[ScopeType, ...] = ("user", "group", "role")
RESOURCE_TYPES: tuple[ResourceType, ...] = ("model", "agent", "tool")
EFFECTS: tuple[Effect, ...] = ("allow", "deny")
EVERY = "*"
ACTIONS: tuple[ActionName, ...] = ("use", "*")
ROLES = (*(role.value for role in PlatformRole), *(role.value for role in ProjectRole))
"""Roles on the platform and in projects; no name is used twice."""
