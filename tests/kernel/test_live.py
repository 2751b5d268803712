"""The live bus, within a process and between processes."""

import asyncio
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from muster.kernel.db import Database
from muster.kernel.live import _QUEUE, CHANNEL, MAX_PAYLOAD_BYTES, LiveBus, Subscription

pytestmark = pytest.mark.anyio

PATIENCE_S = 10.0


@asynccontextmanager
async def two_on(database: Database) -> AsyncIterator[tuple[LiveBus, LiveBus]]:
    """Yield two buses on one database, as two processes have them."""
    pair = LiveBus(database), LiveBus(database)
    for bus in pair:
        await bus.start()
    yield pair
    for bus in pair:
        await bus.stop()


@pytest.fixture
async def buses(postgresql: Database) -> AsyncIterator[tuple[LiveBus, LiveBus]]:
    async with two_on(postgresql) as pair:
        yield pair


async def message(subscription: Subscription) -> dict[str, Any]:
    """Return the next message that is not a hint."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := await subscription.get()) is None:
            pass
        return found


async def hint(subscription: Subscription) -> None:
    """Wait for a hint to look at the database."""
    async with asyncio.timeout(PATIENCE_S):
        while await subscription.get() is not None:
            pass


# --- within a process -------------------------------------------------------------------------


@pytest.fixture
def alone(own: Database) -> LiveBus:
    """A bus that was never started."""
    return LiveBus(own)


async def test_messages_reach_the_subscribers_of_their_topic_in_order(alone: LiveBus) -> None:
    async with alone.subscribe("a", "b") as both, alone.subscribe("b") as one:
        for number in range(3):
            alone.publish("a", {"n": number})
        alone.publish("b", {"n": 3})
        alone.publish("c", {"n": 4})
        assert [(await message(both))["n"] for _ in range(4)] == [0, 1, 2, 3]
        assert await message(one) == {"n": 3}
        assert await both.get(0.01) is None
        assert await one.get(timeout_s=0.01) is None


async def test_a_subscription_ends_with_its_block(alone: LiveBus) -> None:
    async with alone.subscribe("a", "b") as first:
        async with alone.subscribe("a") as second:
            pass
        alone.publish("a", {"n": 1})
        assert await first.get(0.01) == {"n": 1}
        assert await second.get(0.01) is None
    alone.publish("a", {"n": 2})
    alone.nudge()
    assert await first.get(0.01) is None
    assert not alone._subscriptions
    alone.detach(first)
    assert not alone._subscriptions


async def test_who_does_not_keep_up_is_told(alone: LiveBus) -> None:
    async with alone.subscribe("a") as slow:
        for number in range(_QUEUE):
            alone.publish("a", {"n": number})
        assert not slow.lagged
        alone.publish("a", {"n": _QUEUE})
        assert slow.lagged
        assert (await message(slow))["n"] == 0


async def test_a_nudge_reaches_every_subscriber_once(alone: LiveBus) -> None:
    async with alone.subscribe("a", "b") as both, alone.subscribe("c") as one:
        alone.nudge()
        for subscription in (both, one):
            await hint(subscription)
            assert subscription._queue.empty()


# --- SQLite: commits of others are noticed ----------------------------------------------------


async def test_a_commit_of_another_process_is_noticed(own: Database) -> None:
    async with two_on(own) as (here, there), there.subscribe("a") as subscription:
        await hint(subscription)  # the first look
        with closing(sqlite3.connect(str(own.url.database))) as connection:
            connection.execute("CREATE TABLE t (a)")
        await hint(subscription)
        here.publish("a", {"n": 1})
        assert await subscription.get(0.4) is None
        assert subscription._queue.empty()
        # Who commits in this process says so by itself.
        async with own.write() as session:
            await session.execute(text("INSERT INTO t VALUES (1)"))
        assert await subscription.get(0.4) is None
        assert subscription._queue.empty()
        with closing(sqlite3.connect(str(own.url.database))) as connection, connection:
            connection.execute("INSERT INTO t VALUES (2)")
        await hint(subscription)


async def test_a_file_that_cannot_be_read_is_tried_again(own: Database, tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    path.write_bytes(b"not a database, " * 100)
    bus = LiveBus(own)
    await bus.start()
    async with bus.subscribe("a") as subscription:
        assert await subscription.get(0.4) is None
        assert not bus._tasks[0].done()
        good = tmp_path / "good.db"
        with closing(sqlite3.connect(good)) as connection:
            connection.execute("CREATE TABLE t (a)")
        shutil.move(good, path)
        await hint(subscription)
    await bus.stop()


async def test_stopping_ends_everything(own: Database, postgresql: Database) -> None:
    for database in (own, postgresql):
        bus = LiveBus(database)
        await bus.start()
        tasks = list(bus._tasks)
        assert tasks
        await bus.stop()
        assert all(task.done() for task in tasks)
        bus.publish("a", {"n": 1})
        assert not bus._outbox
        await bus.stop()


# --- PostgreSQL: messages reach other processes -----------------------------------------------


async def kill(database: Database, statement: str) -> int:
    """Terminate the connections whose last statement is like this; return how many there were."""
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection: Any = await asyncpg.connect(url)
    rows = await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = $1 AND query LIKE $2 AND pid <> pg_backend_pid()",
        database.url.database,
        statement,
    )
    await connection.close()
    return len(rows)


async def test_messages_reach_other_processes_and_come_home_once(
    buses: tuple[LiveBus, LiveBus],
) -> None:
    here, there = buses
    async with here.subscribe("a") as at_home, there.subscribe("a") as elsewhere:
        sent = [{"n": number, "text": "Grüße\0"} for number in range(20)]
        for entry in sent:
            here.publish("a", entry)
        there.publish("a", {"n": "last"})
        found = [await message(elsewhere) for _ in range(21)]
        assert found == [{"n": "last"}, *sent]
        found = [await message(at_home) for _ in range(21)]
        assert found == [*sent, {"n": "last"}]


async def test_messages_that_are_alike_all_arrive(buses: tuple[LiveBus, LiveBus]) -> None:
    here, there = buses
    sent = [{"text": "ha " * 100}] * 200  # more than one notification holds
    async with there.subscribe("a") as elsewhere:
        for entry in sent:
            here.publish("a", entry)
        assert [await message(elsewhere) for _ in sent] == sent


async def test_what_is_too_long_to_send_becomes_a_hint(buses: tuple[LiveBus, LiveBus]) -> None:
    here, there = buses
    longest = {"text": "x" * (MAX_PAYLOAD_BYTES - 60)}
    long = {"text": "é" * MAX_PAYLOAD_BYTES}
    async with here.subscribe("a") as at_home, there.subscribe("a") as elsewhere:
        for entry in (longest, long, {"n": 1}):
            here.publish("a", entry)
            assert await message(at_home) == entry
        assert await message(elsewhere) == longest
        assert await elsewhere.get(PATIENCE_S) is None
        assert await message(elsewhere) == {"n": 1}


async def test_a_lost_listener_is_replaced_and_everyone_looks_again(
    buses: tuple[LiveBus, LiveBus], postgresql: Database
) -> None:
    here, there = buses
    async with there.subscribe("a") as subscription:
        assert await kill(postgresql, f"LISTEN%{CHANNEL}%") == 2
        await hint(subscription)
        here.publish("a", {"n": 1})
        assert await message(subscription) == {"n": 1}


async def test_a_message_is_sent_again_when_its_connection_was_lost(
    buses: tuple[LiveBus, LiveBus], postgresql: Database
) -> None:
    here, there = buses
    async with there.subscribe("a") as subscription:
        here.publish("a", {"n": 1})
        assert await message(subscription) == {"n": 1}
        assert await kill(postgresql, "SELECT pg_notify%") == 1
        here.publish("a", {"n": 2})
        assert await message(subscription) == {"n": 2}


async def test_a_server_that_is_not_there_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.kernel.live._RECONNECT_S", 0.01)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    database = Database(f"postgresql+asyncpg://nobody@127.0.0.1:{port}/nothing")
    bus = LiveBus(database)
    with capture_logs() as logs:
        starting = asyncio.create_task(bus.start())
        async with asyncio.timeout(PATIENCE_S):
            while {entry["event"] for entry in logs} < {
                "live_bus_disconnected",
                "live_bus_cannot_send",
            }:
                await asyncio.sleep(0.01)
        assert not any(task.done() for task in bus._tasks)
        bus._listening.set()  # else the start goes on waiting for some seconds
        await starting
        bus.publish("a", {"n": 1})
        await bus.stop()
    await database.dispose()
