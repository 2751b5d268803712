"""A courier for tests, who it delivers to, and a clock that moves when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from muster.adapters.channels import SendFailed, SendRefused, Sent
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.ids import new_id
from muster.kernel.live import LiveBus
from muster.kernel.settings import DeliveriesSettings
from muster.platform.access import Caller
from muster.platform.deliveries import (
    Courier,
    DeliveryDetail,
    DeliveryList,
    DeliveryService,
    Happening,
    Outgoing,
    Postponed,
)
from tests.support.people import People

SETTINGS = DeliveriesSettings(attempts=3, first_wait_s=30, timeout_s=5, concurrency=4)
Answer = Sent | SendFailed | SendRefused | Postponed | Exception


@dataclass
class Clock:
    """Time that moves when it is told to."""

    moment: datetime = field(default_factory=clock.now)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **by: float) -> None:
        self.moment += timedelta(**by)


@dataclass
class Taker:
    """Delivers to nobody: notes what it was given and answers what it was told to."""

    answers: list[Answer] = field(default_factory=list[Answer])
    taken: list[Outgoing] = field(default_factory=list[Outgoing])
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None

    async def __call__(self, outgoing: Outgoing) -> Sent:
        self.taken.append(outgoing)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else Sent(200)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Post:
    """A courier with its taker and its clock."""

    def __init__(self, database: Database, live: LiveBus, time: Clock) -> None:
        self.database, self.live, self.time = database, live, time
        self.taker = Taker()
        self.courier = Courier(database, live, SETTINGS, now=time)
        self.courier.register("test", self.taker)

    async def enqueue(self, project_id: str, *, source_id: str = "s-1", **given: Any) -> None:
        values = {"event_type": "thing.happened", "message": {"a": 1}, "event_id": new_id()}
        happening = Happening(**{**values, **given})
        async with self.database.write() as session:
            self.courier.enqueue(
                session, project_id, source_kind="test", source_id=source_id, happening=happening
            )

    async def all(self, project_id: str) -> list[DeliveryDetail]:
        async with self.database.read() as session:
            service = self.service(session, project_id)
            rows = await service.list(DeliveryList())
            return [await service.get(row.id) for row in reversed(rows.items)]

    def service(self, session: Any, project_id: str, kind: str = "test") -> DeliveryService:
        return DeliveryService(session, Caller.system(project_id), kind, self.courier)

    async def only(self, project_id: str) -> DeliveryDetail:
        (found,) = await self.all(project_id)
        return found


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def post(muster: Muster, time: Clock) -> Post:
    return Post(muster.database, muster.live, time)


@pytest.fixture
async def another(muster: Muster, time: Clock) -> AsyncIterator[Post]:
    """A second process: nothing is between them but the database and the bus."""
    async with AsyncExitStack() as stack:
        database = Database(muster.settings.database, pool_size=5)
        stack.push_async_callback(database.dispose)
        live = LiveBus(database)
        await live.start()
        stack.push_async_callback(live.stop)
        yield Post(database, live, time)


async def told(people: People) -> list[dict[str, Any]]:
    answer = await people.viewer.get("/events", params={"limit": 200})
    events = reversed(answer.json()["items"])
    return [event for event in events if event["type"].startswith("delivery.")]
