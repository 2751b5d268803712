"""Memories: what an agent keeps from run to run, found again by the words in it."""

from muster.domains.catalogue.memories.acts import memory_acts
from muster.domains.catalogue.memories.models import AgentMemory

__all__ = ["AgentMemory", "memory_acts"]
