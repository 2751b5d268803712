"""What people do with deliveries. Knows nothing of HTTP."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller
from muster.platform.deliveries.courier import Courier
from muster.platform.deliveries.errors import DeliveryNotDead
from muster.platform.deliveries.events import DeliveryRetried
from muster.platform.deliveries.models import DEAD, PENDING, Delivery
from muster.platform.deliveries.repository import DeliveryRepository
from muster.platform.deliveries.schemas import (
    AttemptOut,
    DeliveryDetail,
    DeliveryList,
    DeliveryOut,
)

_NEXT = "next_attempt_at"


class DeliveryService:
    """Use cases of the deliveries of one kind of source, for one caller."""

    def __init__(
        self,
        session: AsyncSession,
        caller: Caller,
        source_kind: str,
        courier: Courier,
    ) -> None:
        self._session, self._caller, self._kind = session, caller, source_kind
        self._courier = courier
        self._deliveries = DeliveryRepository(session, caller.project_id)

    async def list(self, params: DeliveryList, source_id: str | None = None) -> Rows[DeliveryOut]:
        """Return deliveries, newest first; of one source where it is named."""
        rows = await self._deliveries.search(self._kind, source_id, params)
        shown = [_shown(row) for row in rows.items]
        return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)

    async def get(self, delivery_id: str) -> DeliveryDetail:
        """Return a delivery with every attempt."""
        delivery = await self._deliveries.of_kind(self._kind, delivery_id)
        attempts = await self._deliveries.attempts(delivery)
        return DeliveryDetail(
            **_shown(delivery).model_dump(),
            message=delivery.message,
            log=[AttemptOut.model_validate(attempt) for attempt in attempts],
        )

    async def retry(self, delivery_id: str) -> DeliveryDetail:
        """Let a delivery that was given up be attempted again, as often as a new one."""
        delivery = await self._deliveries.of_kind(self._kind, delivery_id)
        moment = clock.now()
        statement = (
            update(Delivery)
            .where(Delivery.id == delivery.id, Delivery.status == DEAD)
            .values(
                status=PENDING,
                due_at=moment,
                max_attempts=Delivery.attempts + self._courier.settings.attempts,
                updated_at=moment,
            )
            .returning(Delivery.id)
        )
        if await self._session.scalar(statement) is None:
            raise DeliveryNotDead(f"The delivery is {delivery.status}; it needs no other try.")
        await self._session.refresh(delivery)
        fact = DeliveryRetried(
            delivery_id=delivery.id, source_kind=delivery.source_kind, source_id=delivery.source_id
        )
        events.record(self._session, self._caller, fact)
        self._courier.wake(self._session)
        return await self.get(delivery_id)


def _shown(delivery: Delivery) -> DeliveryOut:
    waits = delivery.status == PENDING
    return DeliveryOut.model_validate(
        {
            **{name: getattr(delivery, name) for name in DeliveryOut.model_fields if name != _NEXT},
            _NEXT: delivery.due_at if waits else None,
        }
    )
