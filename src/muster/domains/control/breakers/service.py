"""What admins do with circuit breakers. Knows nothing of HTTP."""

from collections.abc import Collection

from pydantic import MISSING
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.breakers import moves
from muster.domains.control.breakers.breaker import CLOSED, OPEN, announce, numbers_of
from muster.domains.control.breakers.events import (
    CircuitBreakerConfigured,
    CircuitBreakerReset,
    PlatformBreakerConfigured,
    PlatformBreakerReset,
)
from muster.domains.control.breakers.models import CircuitBreaker
from muster.domains.control.breakers.names import BreakerId, breaker_of, named_breaker
from muster.domains.control.breakers.schemas import BreakerList, BreakerOut, BreakerPut
from muster.kernel import clock
from muster.kernel.live import LiveBus
from muster.kernel.paging import Rows, page_of
from muster.kernel.settings import BreakersSettings
from muster.platform import events
from muster.platform.access import Caller

_NUMBERS = ("failure_threshold", "window_s", "open_s", "half_open_max", "success_threshold")


class BreakerService:
    """Use cases of circuit breakers, for one admin: the platform's, and those of their project."""

    def __init__(
        self, session: AsyncSession, caller: Caller, live: LiveBus, defaults: BreakersSettings
    ) -> None:
        self._session, self._caller = session, caller
        self._live, self._defaults = live, defaults

    async def list(self, params: BreakerList, providers: Collection[str]) -> Rows[BreakerOut]:
        """Return breakers by name; the operator's providers are shown before they ever failed."""
        project = self._caller.project_id
        query = select(CircuitBreaker).where(
            or_(CircuitBreaker.project_id == project, CircuitBreaker.project_id.is_(None))
        )
        shown = {
            row.name: BreakerOut.of(BreakerId(row.project_id, row.name), row, self._defaults)
            for row in await self._session.scalars(query)
        }
        for provider in providers:
            breaker = breaker_of(f"provider:{provider}", project)
            shown.setdefault(breaker.name, BreakerOut.of(breaker, None, self._defaults))
        matching = [
            shown[name] for name in sorted(shown) if params.state in {None, shown[name].state}
        ]
        return page_of(matching, params)

    async def configure(self, body: BreakerPut) -> BreakerOut:
        """Set the given numbers of a breaker."""
        breaker = named_breaker(body.name, self._caller.project_id)
        given = {name: getattr(body, name) for name in _NUMBERS}
        values = {name: value for name, value in given.items() if value is not MISSING}
        row = await moves.put(self._session, breaker, **values)
        numbers = numbers_of(row, self._defaults)
        kind = CircuitBreakerConfigured if row.project_id else PlatformBreakerConfigured
        fact = kind(
            circuit_breaker_id=row.id,
            name=row.name,
            failure_threshold=numbers.failure_threshold,
            window_s=numbers.window_s,
            open_s=numbers.open_s,
            half_open_max=numbers.half_open_max,
            success_threshold=numbers.success_threshold,
        )
        events.record(self._session, self._caller, fact)
        return self._changed(breaker, row)

    async def force_open(self, name: str, reason: str | None) -> BreakerOut:
        """Open a breaker until a person closes it."""
        breaker = named_breaker(name, self._caller.project_id)
        row = await moves.put(
            self._session,
            breaker,
            state=OPEN,
            opened_at=clock.now(),
            probe_at=None,
            probes=0,
            successes=0,
            reason=reason or f"{self._caller.name} opened it.",
        )
        moves.tell_opened(self._session, self._caller, row, by_hand=True)
        return self._changed(breaker, row)

    async def force_close(self, name: str) -> BreakerOut:
        """Close a breaker; what it stands before is called again."""
        breaker = named_breaker(name, self._caller.project_id)
        row = await self._put_closed(breaker, reason=None)
        moves.tell_closed(self._session, self._caller, row, by_hand=True)
        return self._changed(breaker, row)

    async def reset(self, name: str) -> BreakerOut:
        """Close a breaker, and forget its numbers and all that it remembers."""
        breaker = named_breaker(name, self._caller.project_id)
        forgotten = dict.fromkeys((*_NUMBERS, "reason", "opened_at", "last_failure_at"))
        row = await self._put_closed(breaker, **forgotten)
        kind = CircuitBreakerReset if row.project_id else PlatformBreakerReset
        events.record(self._session, self._caller, kind(circuit_breaker_id=row.id, name=row.name))
        return self._changed(breaker, row)

    async def _put_closed(self, breaker: BreakerId, **values: None) -> CircuitBreaker:
        return await moves.put(
            self._session,
            breaker,
            state=CLOSED,
            failures=0,
            first_failure_at=None,
            probe_at=None,
            probes=0,
            successes=0,
            **values,
        )

    def _changed(self, breaker: BreakerId, row: CircuitBreaker) -> BreakerOut:
        announce(self._session, self._live)
        return BreakerOut.of(breaker, row, self._defaults)
