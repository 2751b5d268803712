"""Triggers for tests: a launcher of agents, clocks that stand still, and calls that are signed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from muster.adapters.channels import sign
from muster.domains.work.journal import Run
from muster.domains.work.launching import Launcher
from muster.domains.work.plans import Target
from muster.domains.work.triggers import EventFollower, TriggerClock
from muster.entrypoints.assembly import Muster
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.platform.access import Caller
from tests.support.accounts import find_accounts
from tests.support.people import People, signed_in

CONNECT = Callable[..., httpx2.AsyncClient]


@pytest.fixture
async def people(muster: Muster, connect: CONNECT) -> People:
    """Everyone, signed in to an application that executes nothing."""
    return signed_in(await find_accounts(muster), connect)


@dataclass
class Time:
    """Time that moves when it is told to, and is never behind the clock that requests go by."""

    moment: datetime = field(
        default_factory=lambda: (
            datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        )
    )

    def __call__(self) -> datetime:
        return max(self.moment, datetime.now(UTC))

    def forward(self, **by: float) -> None:
        self.moment += timedelta(**by)


class HeldLauncher(Launcher):
    """Keeps what it was asked for; can be held up, and made to fail."""

    def __init__(self, muster: Muster, database: Database | None = None) -> None:
        parts = muster.running.parts
        super().__init__(replace(parts, database=database or parts.database), timeout_s=60)
        self.called: list[str] = []
        self.errors: list[Exception] = []
        self.entered = asyncio.Event()
        self.gate: asyncio.Event | None = None

    async def launch(
        self,
        caller: Caller,
        target: Target,
        inputs: dict[str, Any],
        *,
        run_id: str,
        origin: str,
        name: str | None = None,
        model: str | None = None,
    ) -> str:
        self.called.append(run_id)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return await super().launch(
            caller, target, inputs, run_id=run_id, origin=origin, name=name, model=model
        )


@dataclass
class Process:
    """What one process has of triggers."""

    clock: TriggerClock
    follower: EventFollower
    launcher: Any

    async def settle(self, rounds: int = 200) -> None:
        """Work until nothing is left to do."""
        for _ in range(rounds):
            if not await self.follower.once() + await self.clock.once():
                return
        raise AssertionError("it does not come to rest")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def process(muster: Muster, time: Time) -> Process:
    return process_of(muster, muster.database, muster.live, time)


def process_of(
    muster: Muster, database: Database, live: LiveBus, time: Time, launcher: Any = None
) -> Process:
    launcher = launcher or HeldLauncher(muster, database)
    return Process(
        TriggerClock(database, live, launcher, now=time),
        EventFollower(database, live, now=time),
        launcher,
    )


@asynccontextmanager
async def processes(muster: Muster, time: Time, count: int) -> AsyncIterator[list[Process]]:
    """Processes with nothing between them but the database and the bus."""
    async with AsyncExitStack() as stack:
        made: list[Process] = []
        for _ in range(count):
            database = Database(muster.settings.database, pool_size=3)
            stack.push_async_callback(database.dispose)
            live = LiveBus(database)
            database.info["live"] = live
            await live.start()
            stack.push_async_callback(live.stop)
            made.append(process_of(muster, database, live, time))
        yield made


async def agent(client: httpx2.AsyncClient, name: str = "Worker") -> dict[str, Any]:
    body = {"name": name, "llm": "builtin/extractive"}
    answer = await client.post("/agents", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def trigger(client: httpx2.AsyncClient, type: str, **body: Any) -> dict[str, Any]:
    """Make a trigger; without an action it starts the agent Worker, which is made."""
    if "action" not in body:
        worker = await agent(client, body.pop("worker", "Worker"))
        body["action"] = {"agent": worker["id"], **body.pop("starting", {})}
    answer = await client.post("/triggers", json={"name": "Trigger", "type": type, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def history(client: httpx2.AsyncClient, made: dict[str, Any], **params: Any) -> list[Any]:
    answer = await client.get(f"/triggers/{made['id']}/history", params={"limit": 200, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def runs_of(muster: Muster, project_id: str) -> list[Run]:
    async with muster.database.read() as session:
        query = select(Run).where(Run.project_id == project_id).order_by(Run.id)
        return list(await session.scalars(query))


async def count(muster: Muster, model: Any) -> int:
    async with muster.database.read() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def told(client: httpx2.AsyncClient, prefix: str) -> list[str]:
    answer = await client.get("/events", params={"limit": 200, "order": "asc"})
    return [e["type"] for e in answer.json()["items"] if e["type"].startswith(prefix)]


def signed(
    secret: str, body: bytes, message_id: str = "msg_1", at: datetime | None = None
) -> dict[str, str]:
    stamp = int((at or datetime.now(UTC)).timestamp())
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign(secret, message_id, stamp, body),
    }
