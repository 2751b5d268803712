"""Agents: versioned definitions that runs execute."""

from muster.domains.catalogue.agents.activity import hold_activity, show_activity
from muster.domains.catalogue.agents.errors import (
    AgentAmbiguous,
    AgentInactive,
    AgentNotFound,
    AgentNotReady,
    AgentRunsElsewhere,
)
from muster.domains.catalogue.agents.models import Agent
from muster.domains.catalogue.agents.notations import read_yaml, write_yaml
from muster.domains.catalogue.agents.readiness import (
    ModelChecks,
    ToolChecks,
    configuration_status,
    find_agent,
    placeholders_of,
    ready_snapshot,
)
from muster.domains.catalogue.agents.repository import hold_agent
from muster.domains.catalogue.agents.service import AgentService, slug
from muster.domains.catalogue.agents.spec import EXTERNAL, AgentSpec

__all__ = [
    "EXTERNAL",
    "Agent",
    "AgentAmbiguous",
    "AgentInactive",
    "AgentNotFound",
    "AgentNotReady",
    "AgentRunsElsewhere",
    "AgentService",
    "AgentSpec",
    "ModelChecks",
    "ToolChecks",
    "configuration_status",
    "find_agent",
    "hold_activity",
    "hold_agent",
    "placeholders_of",
    "read_yaml",
    "ready_snapshot",
    "show_activity",
    "slug",
    "write_yaml",
]
