"""Whether an agent is shown as working."""

from typing import NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents.events import AgentStatusChanged
from muster.domains.catalogue.agents.models import Agent
from muster.kernel import clock
from muster.kernel.db import Prepared
from muster.platform import events
from muster.platform.access import Caller


class Activity(NamedTuple):
    """What an agent is shown as, and what else its event tells."""

    id: str
    key: str
    name: str
    status: str
    is_started: bool


_AGENTS = Agent.__table__
_HOLD = Prepared(
    select(*[_AGENTS.c[name] for name in Activity._fields])
    .where(_AGENTS.c.id == bindparam("of_agent"))
    .with_for_update(key_share=True)
)
_SHOW = Prepared(
    update(_AGENTS)  # pyright: ignore[reportArgumentType]
    .where(_AGENTS.c.id == bindparam("of_agent"))
    .values(status=bindparam("to_status"), updated_at=bindparam("moment"))
)


async def hold_activity(session: AsyncSession, agent_id: str) -> Activity | None:
    """Return what an agent is shown as, deleted or not; nobody else changes it until the unit of
    work ends.
    """
    found = await _HOLD.within(session, of_agent=agent_id)
    return Activity(*found[0]) if found else None


async def show_activity(
    session: AsyncSession, caller: Caller, held: Activity, *, running: bool
) -> None:
    """Show an agent that is held as running, or as resting again, with the event of a change."""
    status = "running" if running else "idle" if held.is_started else "offline"
    if held.status == status:
        return
    await _SHOW.within(session, of_agent=held.id, to_status=status, moment=clock.now())
    fact = AgentStatusChanged(
        agent_id=held.id,
        key=held.key,
        name=held.name,
        status=status,
        is_started=bool(held.is_started),
    )
    events.record(session, caller, fact)
