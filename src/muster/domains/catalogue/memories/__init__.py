"""Memories: what an agent keeps from run to run, found again by the words in it."""

from muster.domains.catalogue.memories.acts import memory_acts
from muster.domains.catalogue.memories.models import AgentMemory
from muster.domains.catalogue.memories.repository import has_memories

__all__ = ["AgentMemory", "has_memories", "memory_acts"]
