"""Kinds and verbs of steps, as the platform knows them."""

_VERBS = frozenset({"GET", "POST", "PATCH", "DELETE"})

VERBS: dict[str, frozenset[str]] = {
    "step.model": frozenset({"POST"}),
    "step.resource": _VERBS,
    "step.self": _VERBS,
    "step.credential": _VERBS,
    "step.message": frozenset({"GET", "POST"}),
    "step.exec": frozenset(),
    "step.gate": frozenset(),
    "step.unknown": frozenset(),
    "task.error": frozenset(),
}
"""Each kind that an agent may log by itself, with the verbs of which it takes one."""


def verb_of(kind: str, verb: str | None) -> str | None:
    """Return the verb of a step; raises `ValueError` for what the platform would refuse."""
    if kind not in VERBS:
        raise ValueError(f"kind must be one of {', '.join(VERBS)}, not {kind!r}")
    allowed = VERBS[kind]
    if verb is None:
        if len(allowed) > 1:
            raise ValueError(f"{kind} needs a verb: {', '.join(sorted(allowed))}")
        return next(iter(allowed), None)
    if verb.upper() not in allowed:
        wanted = f"takes {', '.join(sorted(allowed))}" if allowed else "takes no verb"
        raise ValueError(f"{kind} {wanted}, not {verb!r}")
    return verb.upper()
