"""Facts about memories. What is remembered stays in the memory: an event may travel far."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class _MemoryFact(Event):
    subject: ClassVar[str] = "memory"
    memory_id: str
    agent_id: str
    category: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCreated(_MemoryFact):
    type: ClassVar[str] = "memory.created"
    importance: int
    run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUpdated(_MemoryFact):
    type: ClassVar[str] = "memory.updated"
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryDeleted(_MemoryFact):
    """`reason`: asked by somebody, expired, or made_way for another."""

    type: ClassVar[str] = "memory.deleted"
    reason: str
