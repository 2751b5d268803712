"""Facts about memories. What is remembered stays in the memory: an event may travel far."""

from typing import ClassVar

from muster.platform.events import Event


class _MemoryFact(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "memory"
    memory_id: str
    agent_id: str
    category: str


class MemoryCreated(_MemoryFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "memory.created"
    importance: int
    run_id: str | None


class MemoryUpdated(_MemoryFact, frozen=True, kw_only=True):
    type: ClassVar[str] = "memory.updated"
    changed: list[str]


class MemoryDeleted(_MemoryFact, frozen=True, kw_only=True):
    """`reason`: asked by somebody, expired, or made_way for another."""

    type: ClassVar[str] = "memory.deleted"
    reason: str
