"""What can go wrong with logs."""

from muster.kernel.errors import BadRequest, Conflict, NotFound


class TaskNotFound(NotFound):
    code, title = "task_not_found", "No such task in this project"


class TaskEnded(Conflict):
    code, title = "task_ended", "The task has ended and takes no more steps"


class TaskAmbiguous(Conflict):
    code, title = "task_ambiguous", "Several agents have a task with this id; give agent_id"


class UnsupportedWireVersion(BadRequest):
    code, title = "unsupported_wire_version", "Only version 1 of the wire format is understood"
