"""Agents: versioned definitions that runs execute."""

from muster.domains.catalogue.agents.errors import AgentNotFound, AgentNotReady
from muster.domains.catalogue.agents.models import Agent
from muster.domains.catalogue.agents.notations import read_yaml, write_yaml
from muster.domains.catalogue.agents.readiness import (
    configuration_status,
    find_agent,
    placeholders_of,
    ready_snapshot,
)
from muster.domains.catalogue.agents.repository import hold_agent
from muster.domains.catalogue.agents.service import AgentService, set_activity
from muster.domains.catalogue.agents.spec import AgentSpec

__all__ = [
    "Agent",
    "AgentNotFound",
    "AgentNotReady",
    "AgentService",
    "AgentSpec",
    "configuration_status",
    "find_agent",
    "hold_agent",
    "placeholders_of",
    "read_yaml",
    "ready_snapshot",
    "set_activity",
    "write_yaml",
]
