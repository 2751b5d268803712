"""What a report is made of besides tables: what other slices know, handed down at composition."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.insight.reports.document import CheckpointFacts, EventCheck


class Template(Protocol):
    """A framework: policies that belong together, each written with what it refers to."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def policies(self) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPolicy:
    """A policy of a project as it is now."""

    id: str
    name: str
    source_template: str | None
    enabled: bool
    agent_id: str | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where facts come from.

    Args:
        templates: All frameworks by id.
        policies: Policies of a project that are not deleted.
        check_events: Recomputes the log of a project's events.
        checkpoint: Newest signed checkpoint of a project's log; else None, and why there is none.
    """

    templates: Callable[[], Mapping[str, Template]]
    policies: Callable[[AsyncSession, str], Awaitable[Sequence[StoredPolicy]]]
    check_events: Callable[[str], Awaitable[EventCheck]]
    checkpoint: Callable[[str], Awaitable[tuple[CheckpointFacts | None, str | None]]]
