"""Names of circuit breakers, and whose they are."""

import re
from dataclasses import dataclass

from muster.domains.control.breakers.errors import CircuitBreakerNameInvalid

LONGEST_NAME = 300

_NAME = re.compile(r"(provider|model|tool|host):\S(?:.*\S)?")


@dataclass(frozen=True, slots=True)
class BreakerId:
    """One circuit breaker; `project_id` is None for one of the whole platform."""

    project_id: str | None
    name: str

    @property
    def key(self) -> str:
        return f"{self.project_id or 'platform'}/{self.name}"


def breaker_of(name: str, project_id: str) -> BreakerId:
    """Return which breaker a name means in a project.

    The operator's providers are everyone's; models, tools and hosts of a project are its own: what
    one project breaks must not be closed to another.
    """
    return BreakerId(None if name.startswith("provider:") else project_id, name[:LONGEST_NAME])


def named_breaker(name: str, project_id: str) -> BreakerId:
    """Return which breaker a name from outside means, if it is one."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise CircuitBreakerNameInvalid(
            "Names are provider:<name>, model:<name>, tool:<name> or host:<host>, such as "
            "provider:openai."
        )
    return breaker_of(name, project_id)
