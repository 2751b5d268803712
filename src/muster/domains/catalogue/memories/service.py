"""What one can do with the memories of agents. Knows nothing of HTTP."""

import asyncio
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import flag_modified

from muster.domains.catalogue.agents import Agent, find_agent, hold_agent
from muster.domains.catalogue.memories.errors import MemoryFull
from muster.domains.catalogue.memories.events import MemoryCreated, MemoryDeleted, MemoryUpdated
from muster.domains.catalogue.memories.models import AgentMemory
from muster.domains.catalogue.memories.ranking import ranked
from muster.domains.catalogue.memories.repository import MemoryRepository
from muster.domains.catalogue.memories.schemas import (
    MAX_MEMORIES,
    MemoryCreate,
    MemoryList,
    MemoryPatch,
    MemoryStats,
    RecallParams,
)
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.paging import Rows, page_of
from muster.platform import events
from muster.platform.access import Caller


class MemoryService:
    """Use cases of memories, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._memories = MemoryRepository(session, caller.project_id)

    async def list(self, agent_id: str, params: MemoryList) -> Rows[AgentMemory]:
        agent = await self._agent(agent_id)
        return await self._memories.search(agent.id, params)

    async def get(self, memory_id: str) -> AgentMemory:
        return await self._memories.get(memory_id)

    async def create(
        self,
        agent_id: str,
        body: MemoryCreate,
        *,
        run_id: str | None = None,
        origin: str | None = None,
    ) -> AgentMemory:
        """Keep something for an agent; where its memory is full, the least important gives way.

        Args:
            agent_id: Id, key or name of the agent.
            body: What to keep.
            run_id: The run in which the agent keeps it.
            origin: The step of the run; what it has kept already is returned.
        """
        agent = await self._agent(agent_id)
        # Of two that are added at once the second counts the first.
        await hold_agent(self._session, agent.id)
        if origin and (known := await self._memories.find_origin(agent.id, origin)):
            return known
        await self._make_room(agent, body.importance)
        values = body.model_dump()
        memory = await self._memories.add(
            agent_id=agent.id,
            details=values.pop("metadata"),
            run_id=run_id,
            origin=origin,
            **values,
        )
        fact = MemoryCreated(**_about(memory), importance=memory.importance, run_id=run_id)
        events.record(self._session, self._caller, fact)
        return memory

    async def update(self, memory_id: str, body: MemoryPatch) -> AgentMemory:
        """Change the given fields of a memory."""
        memory = await self._memories.held(memory_id)
        values = body.model_dump()
        if "metadata" in values:
            values["details"] = values.pop("metadata")
        changed = [name for name, value in values.items() if _differ(getattr(memory, name), value)]
        if not changed:
            return memory
        for name in changed:
            setattr(memory, name, values[name])
            flag_modified(memory, name)
        await self._memories.flush()
        shown = sorted("metadata" if name == "details" else name for name in changed)
        events.record(self._session, self._caller, MemoryUpdated(**_about(memory), changed=shown))
        return memory

    async def delete(self, memory_id: str) -> None:
        await self._drop(await self._memories.held(memory_id), "asked")

    async def stats(self, agent_id: str) -> MemoryStats:
        agent = await self._agent(agent_id)
        figures = await self._memories.figures(agent.id)
        average: Any = figures.pop("average_importance")
        return MemoryStats(
            agent_id=agent.id,
            limit=MAX_MEMORIES,
            remaining=max(MAX_MEMORIES - figures["total"], 0),
            average_importance=None if average is None else round(float(average), 2),
            **figures,
        )

    async def _agent(self, reference: str) -> Agent:
        return await find_agent(self._session, self._caller.project_id, reference)

    async def _make_room(self, agent: Agent, importance: int) -> None:
        for memory in await self._memories.expired(agent.id):
            await self._drop(memory, "expired")
        if await self._memories.count(agent.id) < MAX_MEMORIES:
            return
        least = await self._memories.least(agent.id)
        if least is None:
            return
        if least.importance > importance:
            raise MemoryFull(
                f"The agent remembers {MAX_MEMORIES} things, and all are more important than this "
                "one. Give it a higher importance, or delete memories that are not needed."
            )
        await self._drop(least, "made_way")

    async def _drop(self, memory: AgentMemory, reason: str) -> None:
        await self._memories.delete(memory)
        events.record(self._session, self._caller, MemoryDeleted(**_about(memory), reason=reason))


async def recall(
    database: Database, project_id: str, agent_id: str, params: RecallParams
) -> Rows[tuple[AgentMemory, float]]:
    """Return the memories of an agent that fit a query, best first, and count that they were asked.

    No session is held while they are ranked.
    """
    async with database.read() as session:
        agent = await find_agent(session, project_id, agent_id)
        memories = await MemoryRepository(session, project_id).all(agent.id, params.category)
    fitting = await asyncio.to_thread(ranked, params.query, memories)
    page = page_of(fitting, params)
    scores = dict(page.items)
    if not scores:
        return Rows([], page.total, page.limit, page.offset, page.has_more)
    async with database.write() as session:
        touched = await MemoryRepository(session, project_id).touch(scores, clock.now())
    rows = {memory.id: memory for memory in touched}
    # One that was deleted in the meantime is left out.
    items = [(rows[key], score) for key, score in page.items if key in rows]
    return Rows(items, page.total, page.limit, page.offset, page.has_more)


def _differ(before: object, after: object) -> bool:
    # Python takes 1, 1.0 and true for equal.
    return msgspec.json.encode(before, order="sorted") != msgspec.json.encode(after, order="sorted")


def _about(memory: AgentMemory) -> dict[str, Any]:
    return {
        "memory_id": memory.id,
        "agent_id": memory.agent_id,
        "category": memory.category,
    }
