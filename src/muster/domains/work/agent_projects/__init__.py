"""Agent projects: where one builds an agent out of actions, for oneself, until it is published."""

from muster.domains.work.agent_projects.models import AgentProject

__all__ = ["AgentProject"]
