"""What can go wrong with memories."""

from muster.kernel.errors import Conflict, NotFound


class MemoryNotFound(NotFound):
    code, title = "memory_not_found", "No such memory in this project"


class MemoryFull(Conflict):
    code, title = "memory_full", "The agent's memory is full of more important things"
