"""Following a run live: its steps as they are appended, its words as they come, to its end.

The steps come from the database, in order, whatever the bus does: a message of the bus only says
when to look. Words and beginnings of steps come from the bus alone and are gone when missed; the
finished step brings them again.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from muster.adapters.blobs import LocalBlobStore
from muster.domains.work.journal import JournalReader, Run, RunStatus, run_topic
from muster.domains.work.runs.errors import RunNotFound
from muster.domains.work.runs.presenting import present_status
from muster.domains.work.runs.repository import RunRepository
from muster.domains.work.runs.views import log_line
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.platform.access import Caller, Scope

_LOOK_AGAIN_S = 2.0
_BATCH = 200
_SETTLE_S = 0.05


@dataclass(frozen=True, slots=True)
class LiveItem:
    """One thing to tell a follower. `id` is the step's number, by which a stream is resumed."""

    event: str
    data: dict[str, Any]
    id: int | None = None


async def follow(
    database: Database, live: LiveBus, blobs: LocalBlobStore, run_id: str, *, after: int = 0
) -> AsyncGenerator[LiveItem]:
    """Yield what happens in a run after step `after`, until the run ends.

    Who stops early must close the iterator (`contextlib.aclosing`), which ends the subscription.

    Events: `log` (a finished step, with an id), `step_started`, `token`, `status`, and `end`.
    """
    status: str | None = None
    async with live.subscribe(run_topic(run_id)) as subscription:
        while True:
            run, rows = await _look(database, run_id, after)
            for row in rows:
                line = await log_line(row, blobs)
                after = row.seq
                yield LiveItem("log", line.model_dump(mode="json"), row.seq)
            if len(rows) == _BATCH:
                continue
            if run is None:
                return
            if run.status != status:
                status = run.status
                yield LiveItem("status", present_status(run).model_dump(mode="json"))
            if RunStatus(run.status).is_final:
                yield LiveItem("end", {"execution_id": run_id, "status": run.status})
                return
            while (message := await subscription.get(_LOOK_AGAIN_S)) is not None:
                if message["type"] == "token":
                    yield LiveItem("token", {k: message[k] for k in ("key", "kind", "text")})
                elif message["type"] == "step.started":
                    started = {k: message[k] for k in ("key", "kind", "name")}
                    yield LiveItem("step_started", started)
                else:
                    break


class RunFollower:
    """Opens the live streams of the runs of a caller's project."""

    def __init__(self, database: Database, live: LiveBus, blobs: LocalBlobStore) -> None:
        self._database, self._live, self._blobs = database, live, blobs

    async def __call__(
        self, caller: Caller, execution_id: str, after: int
    ) -> AsyncGenerator[dict[str, Any]]:
        """Return the stream of a run; raise `RunNotFound` when the caller may not see it."""
        if not caller.may(Scope.RUNS_READ):
            raise RunNotFound
        async with self._database.read() as session:
            await RunRepository(session, caller.project_id).get(execution_id)
        return self._items(execution_id, after)

    async def _items(self, run_id: str, after: int) -> AsyncGenerator[dict[str, Any]]:
        items = follow(self._database, self._live, self._blobs, run_id, after=after)
        async with contextlib.aclosing(items):
            async for item in items:
                yield {"event": item.event, "id": item.id, "data": item.data}


async def _look(database: Database, run_id: str, after: int) -> tuple[Run | None, list[Any]]:
    async with database.read() as session:
        # The run first: a step that is appended between the two reads comes with the next look,
        # while an end that is seen here has all its steps before it.
        run = await session.get(Run, run_id)
        rows = await JournalReader(session).steps(run_id, after=after, limit=_BATCH)
        return run, list(rows)


async def wait_for_end(database: Database, live: LiveBus, run_id: str, timeout_s: float) -> Run:
    """Return the run when it has ended, or as it is when time has run out."""
    async with live.subscribe(run_topic(run_id)) as subscription:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            async with database.read() as session:
                run = await session.get_one(Run, run_id)
            left = deadline - asyncio.get_running_loop().time()
            if run.is_final or left <= 0:
                return run
            while True:
                message = await subscription.get(min(_LOOK_AGAIN_S, max(left, _SETTLE_S)))
                if message is None or message["type"] == "status":
                    break
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
