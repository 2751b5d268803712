"""Circuit breakers as callers use them: ask before a call, report after it.

While a breaker is closed and nothing has failed, both cost a look into memory and no statement.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.breakers import moves
from muster.domains.control.breakers.breaker import (
    CLOSED,
    OPEN,
    Numbers,
    announce,
    cached_breakers,
    numbers_of,
)
from muster.domains.control.breakers.names import BreakerId
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.kernel.settings import BreakersSettings
from muster.platform.access import Caller

UNANSWERED = "Calls timed out, broke off, or were turned away for overload or a fault over there."

Admission = Literal["pass", "probe"]


@dataclass(frozen=True, slots=True)
class Barred:
    """Why a call may not be made, and from when on it may be tried again, if by itself."""

    name: str
    reason: str | None
    probe_at: datetime | None
    probing: bool

    @property
    def message(self) -> str:
        """What happened and what to do, for people and for models."""
        why = f" {self.reason}" if self.reason else ""
        if self.probing:
            then = "It is being probed now; try again in a moment."
        elif self.probe_at is None:
            then = "An admin opened it and has to close it."
        else:
            then = f"It will be probed at {clock.iso(self.probe_at)}."
        return f"The circuit breaker {self.name} is open.{why} {then}"


class Circuits:
    """The circuit breakers of all projects, for one process."""

    def __init__(self, database: Database, live: LiveBus, defaults: BreakersSettings) -> None:
        self._database, self._live, self._defaults = database, live, defaults
        self._seen = cached_breakers(database, live, defaults)

    async def admit(self, breaker: BreakerId) -> Admission | Barred:
        """Say whether a call may be made; whatever was let through is to be reported."""
        seen = (await self._seen.get()).get(breaker.key)
        if seen is None or seen.state == CLOSED:
            return "pass"
        waits = seen.probe_at is None or seen.probe_at > clock.now()
        if seen.state == OPEN and waits:
            return Barred(breaker.name, seen.reason, seen.probe_at, probing=False)
        async with self._database.write() as session:
            begun = await moves.begin_probe(session, breaker, seen.numbers)
            announce(session, self._live)
        if begun:
            return "probe"
        return Barred(breaker.name, seen.reason, seen.probe_at, probing=True)

    async def barred_by_hand(self, breaker: BreakerId) -> Barred | None:
        """Say whether a person has opened a breaker and not closed it yet."""
        seen = (await self._seen.get()).get(breaker.key)
        if seen is None or seen.state != OPEN or seen.probe_at is not None:
            return None
        return Barred(breaker.name, seen.reason, None, probing=False)

    async def sweep(self) -> None:
        """Forget breakers that are closed, hold no configuration, and had no news for a day."""
        async with self._database.write() as session:
            await moves.forget_idle(session)
            announce(session, self._live)

    async def report(
        self,
        breaker: BreakerId,
        admission: Admission,
        *,
        answered: bool | None,
        reason: str = UNANSWERED,
    ) -> None:
        """Take note of how a call ended.

        Args:
            breaker: The breaker.
            admission: How the call was let through.
            answered: Whether the other side was there and able, None where nothing is known.
            reason: What happened, if it was not.
        """
        seen = (await self._seen.get()).get(breaker.key)
        nothing_new = answered is None or (answered and not (seen and seen.failures))
        if admission == "pass" and nothing_new:
            return
        numbers = seen.numbers if seen else numbers_of(None, self._defaults)
        async with self._database.write() as session:
            if admission == "probe":
                await _end_probe(session, breaker, numbers, answered=answered, reason=reason)
            elif answered:
                await moves.forget_failures(session, breaker)
            elif opened := await moves.count_failure(session, breaker, numbers, reason):
                moves.tell_opened(session, _system(breaker), opened)
            announce(session, self._live)


async def _end_probe(
    session: AsyncSession,
    breaker: BreakerId,
    numbers: Numbers,
    *,
    answered: bool | None,
    reason: str,
) -> None:
    if answered is None:
        await moves.end_probe(session, breaker)
    elif answered:
        if closed := await moves.probe_succeeded(session, breaker, numbers):
            moves.tell_closed(session, _system(breaker), closed)
    elif opened := await moves.probe_failed(session, breaker, numbers, reason):
        moves.tell_opened(session, _system(breaker), opened)


def _system(breaker: BreakerId) -> Caller:
    return Caller.system(breaker.project_id or "")
