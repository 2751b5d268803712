"""From a row to what the API shows: every documented spelling."""

from collections.abc import Sequence
from typing import Any

from muster.domains.catalogue.agents.models import Agent
from muster.domains.catalogue.agents.readiness import ConfigurationStatus
from muster.domains.catalogue.agents.schemas import AgentOut, RegisteredAgent
from muster.domains.catalogue.agents.spelling import split_model


def present_registered(
    agent: Agent,
    status: ConfigurationStatus,
    *,
    created: bool,
    incidents: Sequence[dict[str, Any]] = (),
) -> RegisteredAgent:
    """Return an agent as its registration answers it."""
    shown = present(agent, status).model_dump()
    answer = "created" if created else "updated"
    told = {"registration_status": answer, "incidents": list(incidents)}
    return RegisteredAgent.model_validate({**shown, **told})


def present(agent: Agent, status: ConfigurationStatus | None = None) -> AgentOut:
    """Return an agent as the API shows it."""
    spec: dict[str, Any] = agent.spec
    provider, model = split_model(spec.get("llm"))
    return AgentOut.model_validate(
        {
            **spec,
            "id": agent.id,
            "agent_id": agent.id,
            "key": agent.key,
            "agent_key": agent.key,
            "system_prompt": spec.get("instructions"),
            "enabled_tools": spec.get("tools", []),
            "llm_provider": provider,
            "llm_model": model,
            "status": agent.status,
            "account_id": agent.account_id,
            "is_started": agent.is_started,
            "active": agent.is_active,
            "version": agent.version,
            "configuration_status": status,
            "group_id": agent.project_id,
            "created_at": agent.created_at,
            "updated_at": agent.updated_at,
        }
    )
