"""What actions do to agents: deactivate one, and ask people whether it may go on."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.channels import SendRefused
from muster.domains.catalogue.agents import Agent, AgentService, hold_agent
from muster.domains.control.approvals import AGENT_REVIEW, Approval, ask_about_agent
from muster.kernel.crypto import MasterKey
from muster.platform.access import Caller


async def pause_agent(
    session: AsyncSession, caller: Caller, master_key: MasterKey, message: dict[str, Any]
) -> None:
    """Deactivate the agent of an incident; one that is inactive already stays so.

    Raises:
        SendRefused: The incident is about no agent of the project.
    """
    agent = await _agent_of(session, caller, message)
    if agent.is_active:
        await AgentService(session, caller, master_key).delete(agent.id)


async def open_approval(
    session: AsyncSession,
    caller: Caller,
    master_key: MasterKey,
    message: dict[str, Any],
    config: dict[str, Any],
) -> None:
    """Ask whether the agent of an incident may go on; asked already, it is not asked again.

    Raises:
        SendRefused: The incident is about no agent of the project.
    """
    agent = await _agent_of(session, caller, message)
    incident = message["data"]["incident"]
    if config.get("pause") and agent.is_active:
        await AgentService(session, caller, master_key).delete(agent.id)
    await ask_about_agent(
        session,
        caller,
        agent_id=agent.id,
        title=f"May {agent.name} go on?",
        description=(
            f"{incident['description']} Yes: the agent is active, and is activated again where it "
            "was deactivated. No: it is deactivated. "
            f"{config.get('instructions', '')}"
        ).strip(),
        details={
            "incident_id": incident["id"],
            "incident_title": incident["title"],
            "severity": incident["severity"],
            "policy_name": incident["policy_name"],
            "agent_key": agent.key,
            "action": message["action"],
        },
    )


async def decide_about_agent(
    session: AsyncSession, caller: Caller, approval: Approval, master_key: MasterKey
) -> None:
    """Let an agent go on, or not, in the unit of work in which a person says so."""
    if approval.kind != AGENT_REVIEW or approval.agent_id is None:
        return
    agent = await hold_agent(session, approval.agent_id)
    if agent is None or agent.project_id != caller.project_id:
        return
    agents = AgentService(session, caller, master_key)
    if approval.status == "approved" and not agent.is_active:
        await agents.activate(agent.id)
    elif approval.status == "rejected" and agent.is_active:
        await agents.delete(agent.id)


async def _agent_of(session: AsyncSession, caller: Caller, message: dict[str, Any]) -> Agent:
    agent_id = message["data"]["incident"]["agent_id"]
    # Held: two deliveries about one agent at the same moment act one after the other.
    agent = await hold_agent(session, agent_id) if agent_id else None
    if agent is None or agent.project_id != caller.project_id:
        raise SendRefused("The incident is about no agent of this project; nothing can be done.")
    return agent
