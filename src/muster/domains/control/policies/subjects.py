"""Whom policies are about: what is known of an agent, never what it says in a step."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent, AgentInactive, AgentNotFound
from muster.domains.control.policies.engine import Context
from muster.kernel import clock
from muster.platform.access import Caller, CallerKind


def context_of(
    agent_id: str | None,
    spec: Mapping[str, Any],
    *,
    task_id: str | None = None,
    counts: Mapping[str, int] | None = None,
    now: datetime | None = None,
) -> Context:
    """Return what is known of an agent by its definition, at this moment or at `now`.

    The tools of an agent that is run here are those that it was given. `project_root` is read from
    its `metadata`.
    """
    metadata: Mapping[str, Any] = spec.get("metadata") or {}
    root = metadata.get("project_root")
    return Context(
        agent_id=agent_id or "",
        now=now or clock.now(),
        task_id=task_id,
        environment=spec.get("environment"),
        risk_classification=spec.get("risk_classification"),
        agent_name=spec.get("name"),
        purpose=spec.get("purpose"),
        owner=spec.get("owner_id"),
        declared_tools=spec.get("declared_tools") or spec.get("tools"),
        project_root=root if isinstance(root, str) else None,
        cross_execution_counts=counts,
        metadata=metadata,
    )


def profile_of(agent: Agent) -> dict[str, Any]:
    """Return what an agent is judged by when it registers."""
    return {**agent.spec, "agent_id": agent.id, "agent_key": agent.key}


async def find_subject(session: AsyncSession, caller: Caller, reference: str) -> Agent:
    """Return the agent with an id or a key; a key of kind `agent` finds those of its account.

    Among agents with one key the project's own comes first, then the newest; one that was
    deactivated is found only to be told so, by `AgentInactive`.
    """
    query = _visible(caller).where(or_(Agent.id == reference, Agent.key == reference))
    order = (
        Agent.deleted_at.is_(None).desc(),
        Agent.account_id.is_(None).desc(),
        Agent.created_at.desc(),
    )
    found = await session.scalar(query.order_by(*order).limit(1))
    if found is None:
        raise AgentNotFound(f"No agent {reference} is registered here; register it first.")
    if found.deleted_at is not None:
        raise AgentInactive(
            f"The agent {reference} was deactivated: it is to do nothing until somebody who may "
            "change the agents of the project activates it again."
        )
    return found


def _visible(caller: Caller) -> Select[Agent]:
    query = select(Agent).where(Agent.project_id == caller.project_id)
    if caller.kind is CallerKind.AGENT_KEY:
        query = query.where(Agent.account_id == caller.id)
    return query
