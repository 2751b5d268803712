"""Queries on deliveries."""

from collections.abc import Sequence

from sqlalchemy import select

from muster.kernel.db import Repository
from muster.kernel.paging import Rows
from muster.platform.deliveries.errors import DeliveryNotFound
from muster.platform.deliveries.models import Delivery, DeliveryAttempt
from muster.platform.deliveries.schemas import DeliveryList


class DeliveryRepository(Repository[Delivery]):
    """The deliveries of one project."""

    model, missing = Delivery, DeliveryNotFound

    async def search(
        self, source_kind: str, source_id: str | None, params: DeliveryList
    ) -> Rows[Delivery]:
        """Return deliveries of a kind of source that match the filters, newest first."""
        query = self.query().where(Delivery.source_kind == source_kind)
        for column, value in (
            (Delivery.source_id, source_id),
            (Delivery.status, params.status),
            (Delivery.event_type, params.event_type),
        ):
            if value is not None:
                query = query.where(column == value)
        return await self.page(query, params, (Delivery.created_at, True))

    async def of_kind(self, source_kind: str, delivery_id: str) -> Delivery:
        """Return a delivery of a kind of source."""
        query = self.query().where(Delivery.id == delivery_id, Delivery.source_kind == source_kind)
        found: Delivery | None = await self.session.scalar(query)
        if found is None:
            raise DeliveryNotFound
        return found

    async def attempts(self, delivery: Delivery) -> Sequence[DeliveryAttempt]:
        """Return the attempts at a delivery, oldest first."""
        query = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery.id)
        return (await self.session.scalars(query.order_by(DeliveryAttempt.number))).all()
