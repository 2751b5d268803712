"""The tail of the event log: new events are read once per process and handed to all followers.

The table is the truth and the bus only says when to look, so nothing is lost between processes or
by a full queue: a follower that cannot keep up reads the table from where it stands.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.kernel.logging import get_logger
from muster.platform.events.models import EventRecord
from muster.platform.events.recording import topic_of
from muster.platform.events.repository import EventRepository

Listener = Callable[["LiveEvent"], None]
Wanted = Callable[[str], bool]

_BATCH = 200
_QUEUE = 1_000
_LOOK_AGAIN_S = 5.0
_RETRY_S = 1.0

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """An event on its way to subscribers; written as JSON once, however many they are."""

    seq: int
    type: str
    content: dict[str, Any]
    _encoded: dict[str, str] = field(default_factory=dict[str, str], compare=False)

    @classmethod
    def of(cls, row: EventRecord) -> "LiveEvent":
        """Read a row."""
        content: dict[str, Any] = {
            "seq": row.seq,
            "id": row.id,
            "timestamp": clock.iso(row.created_at),
            "project_id": row.project_id,
            "actor": {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name},
            "subject": {"type": row.subject_type, "id": row.subject_id},
            "data": row.data,
        }
        return cls(row.seq, row.type, content)

    def message(self, name: str) -> str:
        """Return the JSON of the event under a name."""
        text = self._encoded.get(name)
        if text is None:
            named = {"type": name, "event": name, **self.content}
            text = self._encoded[name] = msgspec.json.encode(named).decode()
        return text


class EventTail:
    """Follows chains of events for all who ask, with one reader for each chain in use."""

    def __init__(self, database: Database, live: LiveBus) -> None:
        self._database, self._live = database, live
        self._readers: dict[str, _ChainReader] = {}

    async def stop(self) -> None:
        """End the readers; those who follow get nothing more."""
        readers, self._readers = self._readers, {}
        for reader in readers.values():
            await reader.stop()

    @property
    def chains(self) -> list[str]:
        """The chains that are being read."""
        return sorted(self._readers)

    @asynccontextmanager
    async def listen(self, chain: str, listener: Listener) -> AsyncGenerator[None]:
        """Call `listener` with every new event of a chain, while the block lasts."""
        async with self._reader(chain) as reader:
            reader.listeners.append(listener)
            try:
                yield
            finally:
                reader.listeners.remove(listener)

    @asynccontextmanager
    async def follow(self, chain: str, *, after: int | None = None) -> AsyncGenerator["Following"]:
        """Yield a place in a chain: after event `after`, or at the present end."""
        async with self._reader(chain) as reader:
            following = Following(reader, after)
            reader.listeners.append(following.offer)
            try:
                yield following
            finally:
                reader.listeners.remove(following.offer)

    @asynccontextmanager
    async def _reader(self, chain: str) -> AsyncGenerator["_ChainReader"]:
        reader = self._readers.get(chain)
        if reader is None:
            reader = self._readers[chain] = _ChainReader(self._database, self._live, chain)
        reader.users += 1
        try:
            await reader.ready.wait()
            yield reader
        finally:
            reader.users -= 1
            if reader.users == 0 and self._readers.get(chain) is reader:
                del self._readers[chain]
                await reader.stop()


class _ChainReader:
    """Reads what is new in one chain and hands it to the listeners."""

    def __init__(self, database: Database, live: LiveBus, chain: str) -> None:
        self._database, self._live, self._chain = database, live, chain
        self.position = 0
        self.users = 0
        self.ready = asyncio.Event()
        self.listeners: list[Listener] = []
        self._task = asyncio.create_task(self._run(), name=f"event-tail-{chain}")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def newest(self) -> int:
        """Return the number of the newest event of the table."""
        async with self._database.read() as session:
            return await EventRepository(session).newest(self._chain)

    async def read(self, after: int) -> list[LiveEvent]:
        """Return the next events of the table."""
        async with self._database.read() as session:
            rows = await EventRepository(session).after(self._chain, after, _BATCH)
        return [LiveEvent.of(row) for row in rows]

    async def _run(self) -> None:
        # Subscribed before the first look: what comes between the two is told again, not missed.
        async with self._live.subscribe(topic_of(self._chain)) as subscription:
            while True:
                try:
                    await self._look()
                except Exception as error:  # noqa: BLE001 - a reader that dies would be missed by nobody
                    logger.warning("event_tail_cannot_read", error=type(error).__name__)
                    await asyncio.sleep(_RETRY_S)
                    continue
                message = await subscription.get(_LOOK_AGAIN_S)
                while message is not None and message["seq"] <= self.position:
                    message = await subscription.get(_LOOK_AGAIN_S)

    async def _look(self) -> None:
        if not self.ready.is_set():
            self.position = await self.newest()
            self.ready.set()
            return
        while events := await self.read(self.position):
            for event in events:
                self.position = event.seq
                for listener in tuple(self.listeners):
                    listener(event)
            if len(events) < _BATCH:
                return


class Following:
    """A place in a chain, and the events after it that are wanted. For one consumer.

    `wants` says which types are wanted, at first none.
    """

    def __init__(self, reader: _ChainReader, after: int | None) -> None:
        self._reader = reader
        self.wants: Wanted = lambda _: False
        self.position = reader.position if after is None else after
        self._behind = after is not None
        self._waiting: deque[LiveEvent] = deque()
        self._wake = asyncio.Event()
        self._moves = 0

    def offer(self, event: LiveEvent) -> None:
        """Take an event that the reader has read."""
        if self._behind or not self.wants(event.type):
            return
        if len(self._waiting) >= _QUEUE:
            # The table has them all: read there when the consumer comes back.
            self._waiting.clear()
            self._behind = True
        else:
            self._waiting.append(event)
        self._wake.set()

    def move(self, after: int) -> None:
        """Go to the place after event `after`."""
        self.position, self._behind = after, True
        self._waiting.clear()
        self._moves += 1
        self._wake.set()

    async def move_to_end(self) -> None:
        """Go to the present end: what was recorded before does not come, what comes after does."""
        # The reader may be about to hand out events that are there already.
        self.position = max(self.position, await self._reader.newest())

    async def next(self) -> list[LiveEvent]:
        """Wait for wanted events and return them, in order."""
        while True:
            if self._behind:
                events = await self._catch_up()
            elif self._waiting:
                events = self._take()
            else:
                self._wake.clear()
                await self._wake.wait()
                continue
            if events:
                return events

    def _take(self) -> list[LiveEvent]:
        events = [e for e in self._waiting if e.seq > self.position and self.wants(e.type)]
        self._waiting.clear()
        if events:
            self.position = events[-1].seq
        return events

    async def _catch_up(self) -> list[LiveEvent]:
        moves = self._moves
        # Before the look, so that what comes meanwhile is in the queue or in what is read.
        self._behind = False
        try:
            events = await self._reader.read(self.position)
        except (SQLAlchemyError, OSError) as error:
            logger.warning("event_follower_cannot_read", error=type(error).__name__)
            self._behind = True
            await asyncio.sleep(_RETRY_S)
            return []
        if self._moves != moves:
            return []
        if len(events) == _BATCH:
            self._behind = True
            self._waiting.clear()
        if events:
            self.position = max(self.position, events[-1].seq)
        return [event for event in events if self.wants(event.type)]
