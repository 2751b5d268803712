"""HTTP surface of memories."""

from typing import Annotated

from fastapi import Depends, Query

from muster.domains.catalogue.agents import AgentAmbiguous, AgentNotFound
from muster.domains.catalogue.memories.errors import MemoryFull, MemoryNotFound
from muster.domains.catalogue.memories.models import AgentMemory
from muster.domains.catalogue.memories.schemas import (
    MemoryCreate,
    MemoryList,
    MemoryOut,
    MemoryPatch,
    MemoryStats,
    RecalledOut,
    RecallParams,
)
from muster.domains.catalogue.memories.service import MemoryService, recall
from muster.kernel.http import Db, Reading, Router, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/agents", tag="Memories")

CanRead = Annotated[Caller, requires(Scope.MEMORIES_READ)]
CanWrite = Annotated[Caller, requires(Scope.MEMORIES_WRITE)]


async def _reader(session: Reading, caller: CanRead) -> MemoryService:
    return MemoryService(session, caller)


async def _writer(caller: CanWrite, session: Writing) -> MemoryService:
    return MemoryService(session, caller)


Reader = Annotated[MemoryService, Depends(_reader)]
Writer = Annotated[MemoryService, Depends(_writer)]

_OF_AGENT = problems(AgentNotFound, AgentAmbiguous)


@router.get("/memories/{memory_id}", response_model=MemoryOut, responses=problems(MemoryNotFound))
async def get_memory(memories: Reader, memory_id: str) -> AgentMemory:
    """Get one thing that an agent remembers."""
    return await memories.get(memory_id)


@router.put("/memories/{memory_id}", response_model=MemoryOut, responses=problems(MemoryNotFound))
async def update_memory(memories: Writer, memory_id: str, body: MemoryPatch) -> AgentMemory:
    """Change the given fields of a memory; the others keep their values."""
    return await memories.update(memory_id, body)


@router.patch("/memories/{memory_id}", response_model=MemoryOut, responses=problems(MemoryNotFound))
async def patch_memory(memories: Writer, memory_id: str, body: MemoryPatch) -> AgentMemory:
    """Change the given fields of a memory; the others keep their values."""
    return await memories.update(memory_id, body)


@router.delete("/memories/{memory_id}", status_code=204, responses=problems(MemoryNotFound))
async def delete_memory(memories: Writer, memory_id: str) -> None:
    """Let an agent forget something."""
    await memories.delete(memory_id)


@router.get("/{agent_id}/memories", response_model=Page[MemoryOut], responses=_OF_AGENT)
async def list_memories(
    memories: Reader, agent_id: str, params: Annotated[MemoryList, Query()]
) -> Rows[AgentMemory]:
    """List what an agent remembers, newest first unless sorted by importance."""
    return await memories.list(agent_id, params)


@router.post(
    "/{agent_id}/memories",
    status_code=201,
    response_model=MemoryOut,
    responses=problems(AgentNotFound, AgentAmbiguous, MemoryFull),
)
async def create_memory(memories: Writer, agent_id: str, body: MemoryCreate) -> AgentMemory:
    """Let an agent remember something.

    An agent has at most 1,000 memories. One more takes the place of the oldest of the least
    important; it is refused when all of them are more important.
    """
    return await memories.create(agent_id, body)


@router.get("/{agent_id}/memories/recall", responses=_OF_AGENT)
async def recall_memories(
    database: Db, caller: CanRead, agent_id: str, params: Annotated[RecallParams, Query()]
) -> Page[RecalledOut]:
    """Find what an agent remembers about something, by the words of the query, best first.

    What is found counts as recalled, as when the agent itself uses its tool `recall`.
    """
    rows = await recall(database, caller.project_id, agent_id, params)
    items = [
        RecalledOut(**MemoryOut.model_validate(memory).model_dump(by_alias=False), score=score)
        for memory, score in rows.items
    ]
    return Page(
        items=items,
        total=rows.total or 0,
        limit=rows.limit,
        offset=rows.offset,
        has_more=rows.has_more,
    )


@router.get("/{agent_id}/memory-stats", responses=_OF_AGENT)
async def get_memory_stats(memories: Reader, agent_id: str) -> MemoryStats:
    """Get what an agent's memory holds, by category, and how often it was of use."""
    return await memories.stats(agent_id)
