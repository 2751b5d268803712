"""Generation: definitions of agents, tasks, crews and workflows, written from a description."""

from muster.domains.work.generation.errors import GenerationFailed
from muster.domains.work.generation.service import Generator, Models

__all__ = ["GenerationFailed", "Generator", "Models"]
