"""The live bus: hints that something happened, within a process and between processes.

What goes over the bus is never the only copy of a fact. A message that must not be lost is a row
in the database, and the bus only says that it is there; a subscriber that lags or reconnects reads
the rows again. Tokens of a model that speaks are the one thing that is sent and not stored: the
finished reply is.
"""

import asyncio
import contextlib
import sqlite3
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Self

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from muster.kernel.db.database import Database
from muster.kernel.ids import new_id
from muster.kernel.logging import get_logger

Message = dict[str, Any]

CHANNEL = "muster_live"
MAX_PAYLOAD_BYTES = 7_900
"""PostgreSQL refuses notifications of 8,000 bytes and more."""

_QUEUE = 2_000
_POLL_S = 0.25
_RECONNECT_S = 0.5
logger = get_logger(__name__)


class Subscription:
    """Messages of some topics, in order. `lagged` becomes true when messages were dropped."""

    def __init__(self, bus: "LiveBus", topics: tuple[str, ...]) -> None:
        self._bus, self.topics = bus, topics
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(_QUEUE)
        self.lagged = False

    def put(self, message: Message | None) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.lagged = True

    async def get(self, timeout_s: float | None = None) -> Message | None:
        """Return the next message; None when time ran out, or as a hint to look at the database."""
        if timeout_s is None:
            return await self._queue.get()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    async def __aenter__(self) -> Self:
        self._bus.attach(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bus.detach(self)


class LiveBus:
    """Publish and subscribe by topic.

    On PostgreSQL messages reach every process by LISTEN/NOTIFY. On SQLite they stay in the process,
    and commits of other processes are noticed and passed on as a hint (a None message) to all
    subscribers.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._id = new_id()
        self._tasks: list[asyncio.Task[None]] = []
        self._outbox: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._listening = asyncio.Event()

    async def start(self) -> None:
        """Begin to exchange messages with other processes."""
        if self._database.is_sqlite:
            self._tasks = [asyncio.create_task(self._watch_sqlite(), name="live-watch")]
        else:
            self._tasks = [
                asyncio.create_task(self._listen(), name="live-listen"),
                asyncio.create_task(self._send(), name="live-send"),
            ]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._listening.wait(), 5)

    async def stop(self) -> None:
        """Stop exchanging; subscriptions stay but get nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def subscribe(self, *topics: str) -> Subscription:
        """Return a subscription; it receives while its `async with` block lasts."""
        return Subscription(self, topics)

    def attach(self, subscription: Subscription) -> None:
        for topic in subscription.topics:
            self._subscriptions[topic].add(subscription)

    def detach(self, subscription: Subscription) -> None:
        for topic in subscription.topics:
            self._subscriptions[topic].discard(subscription)
            if not self._subscriptions[topic]:
                del self._subscriptions[topic]

    def publish(self, topic: str, message: Message) -> None:
        """Send a message to the subscribers of `topic`, here and in other processes."""
        self._deliver(topic, message)
        if self._database.is_sqlite or not self._tasks:
            return
        entry = msgspec.json.encode([topic, message])
        if len(self._payload([entry])) > MAX_PAYLOAD_BYTES:
            # Too long to send: the others are told to look at the database instead.
            entry = msgspec.json.encode([topic, None])
        self._outbox.append(entry)
        self._filled.set()

    def nudge(self) -> None:
        """Tell every subscriber to look at the database."""
        for subscription in {s for group in self._subscriptions.values() for s in group}:
            subscription.put(None)

    def _deliver(self, topic: str, message: Message | None) -> None:
        for subscription in tuple(self._subscriptions.get(topic, ())):
            subscription.put(message)

    async def _watch_sqlite(self) -> None:
        while True:
            try:
                await self._watch()
            except (sqlite3.Error, SQLAlchemyError):
                logger.warning("live_bus_cannot_watch")
            await asyncio.sleep(_RECONNECT_S)

    async def _watch(self) -> None:
        seen: int | None = None
        while True:
            found = await self._database.commits_of_others()
            if found != seen:
                self.nudge()  # the first time too: whatever was committed while nobody watched
            seen = found
            await asyncio.sleep(_POLL_S)

    async def _connect(self) -> Any:
        import asyncpg  # pyright: ignore[reportMissingTypeStubs]

        url = self._database.url.set(drivername="postgresql")
        connect: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return await connect(url.render_as_string(hide_password=False))

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Any]:
        connection = await self._connect()
        try:
            yield connection
        finally:
            connection.terminate()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._connected() as connection:
                    lost = asyncio.Event()
                    connection.add_termination_listener(partial(_set, lost))
                    await connection.add_listener(CHANNEL, self._received)
                    self._listening.set()
                    self.nudge()  # whatever was sent while nobody listened
                    await lost.wait()
            except _connection_lost():
                logger.warning("live_bus_disconnected")
            await asyncio.sleep(_RECONNECT_S)

    def _received(self, _: Any, __: int, ___: str, payload: Any) -> None:
        sender, entries = msgspec.json.decode(payload)
        if sender != self._id:
            for topic, message in entries:
                self._deliver(topic, message)

    async def _send(self) -> None:
        payload: bytes | None = None
        while True:
            try:
                async with self._connected() as connection:
                    while True:
                        payload = payload or await self._next_payload()
                        text = payload.decode()
                        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, text)
                        payload = None
            except _connection_lost():
                logger.warning("live_bus_cannot_send")
            await asyncio.sleep(_RECONNECT_S)

    async def _next_payload(self) -> bytes:
        """Return what waits to be sent, as much as one notification may carry.

        A notification costs the same for one message as for many. They are not many notifications
        of one transaction, for of those PostgreSQL leaves out what it takes for repetitions.
        """
        while not self._outbox:
            self._filled.clear()
            await self._filled.wait()
        entries = [self._outbox.popleft()]
        size = len(self._payload(entries))
        while self._outbox and (size := size + len(self._outbox[0]) + 1) <= MAX_PAYLOAD_BYTES:
            entries.append(self._outbox.popleft())
        return self._payload(entries)

    def _payload(self, entries: Iterable[bytes]) -> bytes:
        return b'["%s",[%s]]' % (self._id.encode(), b",".join(entries))


def _connection_lost() -> tuple[type[Exception], ...]:
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]

    # The last is what a statement meets whose connection is closed by the server at that moment.
    return OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError


def _set(event: asyncio.Event, _: Any) -> None:
    event.set()
