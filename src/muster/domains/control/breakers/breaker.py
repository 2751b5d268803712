"""A circuit breaker as it is read: its numbers, with the defaults applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.breakers.models import CircuitBreaker
from muster.kernel.cached import Cached
from muster.kernel.db import Database, after_commit
from muster.kernel.live import LiveBus
from muster.kernel.settings import BreakersSettings

TOPIC = "circuit-breakers"
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """When a breaker opens and closes."""

    failure_threshold: int
    window_s: float
    open_s: float
    half_open_max: int
    success_threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A breaker as it was when the table was last read."""

    state: str
    failures: int
    probe_at: datetime | None
    reason: str | None
    numbers: Numbers


Breakers = Mapping[str, Seen]
"""Breakers that have a row, by key."""


def numbers_of(row: CircuitBreaker | None, defaults: BreakersSettings) -> Numbers:
    """Return the numbers that hold for a breaker."""

    def number(name: str) -> float:
        own = getattr(row, name, None)
        return getattr(defaults, name) if own is None else own

    return Numbers(
        failure_threshold=int(number("failure_threshold")),
        window_s=number("window_s"),
        open_s=number("open_s"),
        half_open_max=int(number("half_open_max")),
        success_threshold=int(number("success_threshold")),
    )


def cached_breakers(
    database: Database, live: LiveBus, defaults: BreakersSettings
) -> Cached[Breakers]:
    """Return all breakers that have a row, in memory."""

    async def load(session: AsyncSession) -> Breakers:
        return {
            row.key: Seen(
                state=row.state,
                failures=row.failures,
                probe_at=row.probe_at,
                reason=row.reason,
                numbers=numbers_of(row, defaults),
            )
            for row in await session.scalars(select(CircuitBreaker))
        }

    version: Any = select(func.count(CircuitBreaker.id), func.max(CircuitBreaker.updated_at))
    return Cached(database, live, topic=TOPIC, version=version, load=load)


def announce(session: AsyncSession, live: LiveBus) -> None:
    """Let every process read the breakers again when the unit of work is committed."""

    async def publish() -> None:
        live.publish(TOPIC, {"type": "changed"})

    after_commit(session, publish)
