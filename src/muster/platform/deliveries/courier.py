"""The courier: enqueues deliveries, and brings those that are due to whoever delivers their kind.

At least once: a process that dies in the middle of an attempt leaves a claim that lapses, and the
delivery is attempted again under the same id.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.channels import ChannelError, SendFailed, SendRefused, Sent
from muster.kernel import clock
from muster.kernel.db import Database, UTCDateTime, after_commit
from muster.kernel.live import LiveBus
from muster.kernel.logging import get_logger
from muster.kernel.settings import DeliveriesSettings
from muster.platform import events
from muster.platform.access import Caller
from muster.platform.deliveries import claims
from muster.platform.deliveries.backoff import wait_s
from muster.platform.deliveries.events import DeliveryDead, DeliveryEvent, DeliveryFailed
from muster.platform.deliveries.models import Delivery
from muster.platform.deliveries.outgoing import Happening, Outgoing, Postponed

TOPIC = "deliveries"

_POLL_S = 5.0
_SPARE_S = 15.0
_AT_ONCE = 100

logger = get_logger(__name__)

_next_due = (
    select(Delivery.id).where(Delivery.due_at <= bindparam("now", type_=UTCDateTime)).limit(1)
)


class Deliver(Protocol):
    """Delivers what one kind of source sends.

    Raises:
        SendFailed: It may work later.
        SendRefused: It never will.
        Postponed: It was not tried.
    """

    async def __call__(self, outgoing: Outgoing) -> Sent: ...


class Courier:
    """Deliveries of one process; any number of processes share the work.

    Args:
        database: The database.
        live: The live bus: what is enqueued anywhere is seen at once.
        settings: How patiently to deliver.
        now: The clock.
    """

    def __init__(
        self,
        database: Database,
        live: LiveBus,
        settings: DeliveriesSettings,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database, self._live, self._now = database, live, now
        self.settings = settings
        self._receivers: dict[str, Deliver] = {}
        # An attempt ends by itself before its lease does.
        self._lease = timedelta(seconds=settings.timeout_s + 2 * _SPARE_S)

    def register(self, source_kind: str, deliver: Deliver) -> None:
        """Say who delivers for a kind of source."""
        self._receivers[source_kind] = deliver

    def enqueue(
        self,
        session: AsyncSession,
        project_id: str,
        *,
        source_kind: str,
        source_id: str,
        happening: Happening,
    ) -> None:
        """Have something delivered, if the unit of work is committed."""
        session.add(
            Delivery(
                project_id=project_id,
                source_kind=source_kind,
                source_id=source_id,
                event_id=happening.event_id,
                event_seq=happening.event_seq,
                event_type=happening.event_type,
                message=happening.message,
                max_attempts=self.settings.attempts,
                due_at=self._now(),
            )
        )
        self.wake(session)

    def wake(self, session: AsyncSession) -> None:
        """Let the couriers of all processes look when the unit of work is committed."""

        async def tell() -> None:
            self._live.publish(TOPIC, {"type": "due"})

        after_commit(session, tell)

    async def run(self) -> None:
        """Deliver what is due, until cancelled."""
        under_way: set[asyncio.Task[None]] = set()
        async with self._live.subscribe(TOPIC) as told:

            def ended(task: asyncio.Task[None]) -> None:
                under_way.discard(task)
                told.put(None)

            try:
                while True:
                    try:
                        free = self.settings.concurrency - len(under_way)
                        for outgoing in await self._claim(free):
                            task = asyncio.create_task(self._attempt(outgoing))
                            under_way.add(task)
                            task.add_done_callback(ended)
                    except Exception:
                        logger.exception("deliveries_not_claimed")
                    await told.get(_POLL_S)
            finally:
                for task in under_way:
                    task.cancel()
                await asyncio.gather(*under_way, return_exceptions=True)

    async def once(self) -> int:
        """Attempt what is due now; returns how many attempts were made."""
        claimed = await self._claim(_AT_ONCE)
        await asyncio.gather(*(self._attempt(outgoing) for outgoing in claimed))
        return len(claimed)

    async def _claim(self, limit: int) -> list[Outgoing]:
        now = self._now()
        if limit <= 0 or await self._database.peek(_next_due, {"now": now}) is None:
            return []
        async with self._database.write() as session:
            for lost in await claims.release_lapsed(session, now=now, limit=_AT_ONCE):
                self._tell(session, DeliveryDead, _outgoing(lost), claims.INTERRUPTED, None)
            return await claims.claim_due(
                session, now=now, lease_end=now + self._lease, limit=limit
            )

    async def _attempt(self, outgoing: Outgoing) -> None:
        try:
            await self._settle(outgoing)
        except Exception:
            # The lease lapses, and the delivery is attempted again.
            logger.exception("delivery_not_settled", delivery_id=outgoing.id)

    async def _settle(self, outgoing: Outgoing) -> None:
        at, began = self._now(), time.monotonic()
        ending = await self._ending(outgoing)
        duration_ms = round((time.monotonic() - began) * 1000)
        now = self._now()
        async with self._database.write() as session:
            if isinstance(ending, Postponed):
                await claims.postponed(
                    session, outgoing, ending.reason, now=now, until=max(ending.until, now)
                )
                return
            if isinstance(ending, Sent):
                held, outcome, error = (
                    await claims.arrived(session, outgoing, now),
                    "delivered",
                    None,
                )
            else:
                again_at = self._again_at(outgoing, ending, now)
                held = await claims.failed(
                    session, outgoing, ending.message, now=now, again_at=again_at
                )
                outcome = "failed" if isinstance(ending, SendFailed) else "refused"
                error = ending.message
                if held and again_at is None:
                    self._tell(session, DeliveryDead, outgoing, error, ending.status_code)
                elif held and outgoing.number == 1:
                    self._tell(session, DeliveryFailed, outgoing, error, ending.status_code)
            if held:
                await claims.log_attempt(
                    session,
                    outgoing.id,
                    outgoing.number,
                    at=at,
                    outcome=outcome,
                    duration_ms=duration_ms,
                    status_code=ending.status_code,
                    error=error,
                )

    async def _ending(self, outgoing: Outgoing) -> Sent | ChannelError | Postponed:
        deliver = self._receivers.get(outgoing.source_kind)
        if deliver is None:
            return SendFailed(f"Nothing here delivers for {outgoing.source_kind}; restart Muster.")
        try:
            async with asyncio.timeout(self.settings.timeout_s + _SPARE_S):
                return await deliver(outgoing)
        except (ChannelError, Postponed) as ending:
            return ending
        except TimeoutError:
            return SendFailed("The attempt took too long.", answered=False)
        except Exception:
            logger.exception("delivery_broke", delivery_id=outgoing.id)
            return SendFailed("Muster met an error of its own; its log tells more.")

    def _again_at(self, outgoing: Outgoing, ending: ChannelError, now: datetime) -> datetime | None:
        if isinstance(ending, SendRefused) or outgoing.number >= outgoing.max_attempts:
            return None
        asked = ending.retry_after_s if isinstance(ending, SendFailed) else None
        # A delivery that a person has revived begins its waits anew.
        failures = self.settings.attempts - (outgoing.max_attempts - outgoing.number)
        return now + timedelta(seconds=wait_s(self.settings, max(failures, 1), asked))

    def _tell(
        self,
        session: AsyncSession,
        kind: type[DeliveryEvent],
        outgoing: Outgoing,
        error: str,
        status_code: int | None,
    ) -> None:
        fact = kind(
            delivery_id=outgoing.id,
            source_kind=outgoing.source_kind,
            source_id=outgoing.source_id,
            event_id=outgoing.event_id,
            event_type=outgoing.event_type,
            attempts=outgoing.number,
            status_code=status_code,
            error=error,
        )
        events.record(session, Caller.system(outgoing.project_id), fact)


def _outgoing(delivery: Delivery) -> Outgoing:
    return Outgoing(
        id=delivery.id,
        project_id=delivery.project_id,
        source_kind=delivery.source_kind,
        source_id=delivery.source_id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        message=delivery.message,
        number=delivery.attempts,
        max_attempts=delivery.max_attempts,
        claim=delivery.claim or "",
    )
