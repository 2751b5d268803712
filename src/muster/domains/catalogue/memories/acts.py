"""What the tools do by which agents keep and find their own memories."""

from typing import Any

from muster.adapters.tools.base import ToolOutcome
from muster.domains.catalogue.agents import find_agent
from muster.domains.catalogue.memories.schemas import MemoryCreate, RecallParams, category_of
from muster.domains.catalogue.memories.service import MemoryService, recall
from muster.domains.catalogue.tools import Call, ToolContext
from muster.kernel import clock
from muster.kernel.db import Database
from muster.platform.access import Caller


def memory_acts(database: Database) -> dict[str, Call]:
    """Return the tools of this slice, by name."""

    async def remember(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
        agent_id = context.require_agent()
        body = MemoryCreate(
            content=arguments["content"],
            category=category_of(arguments["category"]),
            importance=arguments["importance"],
            tags=arguments["tags"],
            source="agent",
        )
        async with database.write() as session:
            agent = await find_agent(session, context.project_id, agent_id)
            service = MemoryService(session, Caller.system(context.project_id, agent.name))
            memory = await service.create(
                agent_id, body, run_id=context.run_id, origin=context.idempotency_key
            )
        return ToolOutcome(content={"memory_id": memory.id, "category": memory.category})

    async def find(arguments: dict[str, Any], context: ToolContext) -> ToolOutcome:
        category = arguments.get("category")
        params = RecallParams(
            query=arguments["query"],
            category=category_of(category) if category else None,
            limit=arguments["limit"],
        )
        found = await recall(database, context.project_id, context.require_agent(), params)
        memories = [
            {
                "content": memory.content,
                "category": memory.category,
                "importance": memory.importance,
                "tags": memory.tags,
                "remembered_at": clock.iso(memory.created_at),
            }
            for memory, _ in found.items
        ]
        return ToolOutcome(content={"memories": memories, "total": found.total})

    return {"remember": remember, "recall": find}
