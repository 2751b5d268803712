"""Event names of other notations, under which live subscribers may ask for what Muster records."""

_DOCUMENTED = {
    "run.created": "task.created",
    "run.started": "task.updated",
    "run.waiting": "task.updated",
    "run.resumed": "task.updated",
    "run.stopping": "task.updated",
    "run.completed": "task.completed",
    "run.failed": "task.failed",
    "approval.requested": "notification",
}


def documented_name(type: str) -> str | None:
    """Return the other name of a type of event, if it has one."""
    return _DOCUMENTED.get(type)


def documented_names() -> dict[str, str]:
    """Return the other names by type of event."""
    return dict(_DOCUMENTED)
