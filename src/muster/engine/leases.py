"""Leases: which processes execute jobs, and which of them are dead."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, insert, select, update

from muster.engine.models import Executor
from muster.engine.options import EngineOptions
from muster.engine.processes import ProcessMark
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.ids import new_id

_KEEP_STOPPED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExecutorInfo:
    """One process that executes jobs."""

    id: str
    host: str
    pid: int
    version: str
    concurrency: int
    started_at: datetime
    heartbeat_at: datetime
    is_self: bool


class Leases:
    """This process's lease, and its view of the others'."""

    def __init__(self, options: EngineOptions, database: Database, version: str) -> None:
        self._options, self._database, self._version = options, database, version
        self._mark = ProcessMark.own()
        self.executor_id = new_id()
        self.held = asyncio.Lock()
        """Taken to claim under the current id, and to change it."""
        # When each heart was seen to beat last, by the own clock: clocks of hosts may differ.
        self._seen: dict[str, tuple[int, float]] = {}

    async def take(self) -> None:
        """Begin a lease under a new id."""
        executor_id, now = new_id(), clock.now()
        async with self._database.write() as session:
            await session.execute(
                insert(Executor).values(
                    id=executor_id,
                    host=self._mark.host,
                    pid=self._mark.pid,
                    boot=self._mark.boot,
                    process_started=self._mark.started,
                    version=self._version,
                    concurrency=self._options.concurrency,
                    started_at=now,
                    heartbeat_at=now,
                    heartbeats=0,
                )
            )
        self.executor_id = executor_id

    async def renew(self) -> bool:
        """Let the heart beat. False when another process has ended this lease."""
        async with self._database.write() as session:
            result = await session.execute(
                update(Executor)
                .where(Executor.id == self.executor_id, Executor.stopped_at.is_(None))
                .values(heartbeat_at=clock.now(), heartbeats=Executor.heartbeats + 1)
            )
        return cast("CursorResult[Any]", result).rowcount == 1

    async def end(self, executor_ids: Collection[str]) -> None:
        """End leases: the own one, or those of dead processes."""
        async with self._database.write() as session:
            await session.execute(
                update(Executor)
                .where(Executor.id.in_(executor_ids), Executor.stopped_at.is_(None))
                .values(stopped_at=clock.now())
            )

    async def live(self) -> set[str]:
        """Return the executors that live, after ending the leases of those that do not."""
        rows = await self._rows()
        dead = {row.id for row in rows if row.id != self.executor_id and self._is_dead(row)}
        alive = {row.id for row in rows} - dead
        self._seen = {key: seen for key, seen in self._seen.items() if key in alive}
        if dead:
            await self.end(dead)
        return alive

    def _is_dead(self, row: Executor) -> bool:
        mark = ProcessMark(row.host, row.boot, row.pid, row.process_started)
        # The own mark under another id is a lease of this process that is over.
        if mark == self._mark or mark.is_gone(self._mark):
            return True
        now = time.monotonic()
        beats, since = self._seen.get(row.id, (-1, now))
        if beats != row.heartbeats:
            self._seen[row.id] = (row.heartbeats, now)
            return False
        return now - since > self._options.lease_s

    async def all(self) -> list[ExecutorInfo]:
        """Return every executor with a lease, the oldest first."""
        return [
            ExecutorInfo(
                id=row.id,
                host=row.host,
                pid=row.pid,
                version=row.version,
                concurrency=row.concurrency,
                started_at=row.started_at,
                heartbeat_at=row.heartbeat_at,
                is_self=row.id == self.executor_id,
            )
            for row in await self._rows()
        ]

    async def _rows(self) -> list[Executor]:
        async with self._database.read() as session:
            rows = await session.scalars(
                select(Executor).where(Executor.stopped_at.is_(None)).order_by(Executor.started_at)
            )
            return list(rows)

    async def purge(self) -> None:
        """Forget leases that ended long ago."""
        async with self._database.write() as session:
            await session.execute(
                delete(Executor).where(Executor.stopped_at < clock.now() - _KEEP_STOPPED)
            )
