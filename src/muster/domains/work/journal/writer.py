"""The one writer of steps: chains the hashes and groups concurrent appends into one commit.

A commit costs a sync to the disk, and a sync costs the same for one step as for fifty. Appends
that arrive while one is being written wait in a queue and are written together with the next one.
Who is about to append when the writer turns to its queue is let in too: it gives the event loop two
turns, one that receives requests and one that handles them, and waits for nothing else.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal.chaining import (
    CALLS,
    COUNTED,
    Append,
    Appended,
    Place,
    append_group,
)
from muster.domains.work.journal.payloads import BlobStore, stored_value
from muster.domains.work.journal.statuses import StepKind, StepStatus
from muster.kernel import clock, metrics
from muster.kernel.db import Database, after_commit
from muster.kernel.live import LiveBus

_MAX_GROUP = 256
_AS_THEY_ARE = (
    *("key", "parent_key", "agent_id", "verb", "cost", "started_at", "ended_at"),
    *COUNTED,
    *CALLS,
)
_PAYLOADS = ("input", "output", "properties", "decision", "error")


class Fenced(Exception):
    """The run was taken up by another process, was ended, or has grown where that was ruled out:
    this one must stop working on it.
    """


@dataclass(slots=True, kw_only=True)
class NewStep:
    """A step that ended, before it has its place in the chain. Values are JSON-able.

    Without a key it is given one by its number.
    """

    key: str
    kind: StepKind
    name: str
    started_at: datetime
    ended_at: datetime = field(default_factory=clock.now)
    status: StepStatus = StepStatus.OK
    verb: str | None = None
    parent_key: str | None = None
    agent_id: str | None = None
    input: Any = None
    output: Any = None
    properties: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None
    model_calls: int = 0
    tool_calls: int = 0
    """Of other runs, which the step sums up; those of the run itself are counted by their steps."""


class JournalWriter:
    """Appends steps to runs. One per process.

    Args:
        blobs: Where payloads above `blob_threshold` bytes go.
    """

    def __init__(
        self, database: Database, live: LiveBus, blobs: BlobStore, *, blob_threshold: int
    ) -> None:
        self._database, self._live, self._blobs = database, live, blobs
        self._threshold = blob_threshold
        self._waiting: list[Append] = []
        self._flusher: asyncio.Task[None] | None = None

    async def append(self, run_id: str, fence: int, steps: Sequence[NewStep]) -> Appended:
        """Append steps to a run; returns when they are durable.

        Raises `Fenced` when another process holds the run.
        """
        return await self.append_rows(run_id, fence, await self.rows(steps))

    async def append_rows(
        self, run_id: str, fence: int, rows: list[dict[str, Any]], place: Place | None = None
    ) -> Appended:
        """Append what `rows` returned; with a place only there.

        Raises `Fenced` when another process holds the run, or the place is not its end.
        """
        return await self._submit(Append(run_id, fence, rows, None, _future(), place))

    async def rows(self, steps: Sequence[NewStep]) -> list[dict[str, Any]]:
        """Return steps as they are stored, their large payloads put away."""
        return [await self._row(step) for step in steps]

    async def append_within(
        self, session: AsyncSession, run_id: str, fence: int, rows: list[dict[str, Any]]
    ) -> Appended:
        """Append what `rows` returned in the unit of work of `session`, and with it.

        Raises `Fenced` when another process holds the run.
        """
        group = [Append(run_id, fence, rows, None, _future())]
        connection = await session.connection()
        numbers = await connection.run_sync(partial(append_group, group))
        if numbers[0] is None:
            raise Fenced(run_id)

        async def report() -> None:
            self._report(group, numbers)

        after_commit(session, report)
        return numbers[0]

    async def intend(self, run_id: str, fence: int, *, key: str, name: str, arguments: str) -> None:
        """Note durably that a step is about to act; `arguments` is the hash of what it does."""
        intent = {
            "run_id": run_id,
            "key": key,
            "name": name,
            "arguments_hash": arguments,
            "fence": fence,
            "created_at": clock.now(),
        }
        await self._submit(Append(run_id, fence, [], intent, _future()))

    async def _submit(self, append: Append) -> Appended:
        self._waiting.append(append)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="journal-writer")
        # What is in the queue is written even if whoever waits here is cancelled meanwhile.
        return await append.done

    async def _row(self, step: NewStep) -> dict[str, Any]:
        row: dict[str, Any] = {name: getattr(step, name) for name in _AS_THEY_ARE}
        row["kind"], row["status"] = step.kind.value, step.status.value
        row["name"] = step.name[:255]
        for name in _PAYLOADS:
            value = getattr(step, name)
            if value is not None:
                value = await stored_value(value, self._blobs, self._threshold)
            row[name] = value
        return row

    async def _flush(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            group, self._waiting = self._waiting[:_MAX_GROUP], self._waiting[_MAX_GROUP:]
            try:
                await self._write(group)
            except Exception as error:  # noqa: BLE001 - handed to those who wait
                await self._write_one_by_one(group, error)

    async def _write_one_by_one(self, group: list[Append], error: Exception) -> None:
        if len(group) == 1 or not isinstance(error, DBAPIError):
            for append in group:
                _fail(append, error)
            return
        # One bad append must not fail the others that happened to share its commit.
        for append in group:
            try:
                await self._write([append])
            except Exception as alone:  # noqa: BLE001
                _fail(append, alone)

    async def _write(self, group: list[Append]) -> None:
        self._report(group, await self._database.transact(partial(append_group, group)))

    def _report(self, group: list[Append], numbers: list[Appended | None]) -> None:
        for append, appended in zip(group, numbers, strict=True):
            if appended is None:
                _fail(append, Fenced(append.run_id))
                continue
            if not append.done.done():
                append.done.set_result(appended)
            for row, seq in zip(append.rows, appended.seqs, strict=True):
                metrics.of_steps(row["kind"], row["status"]).inc()
                self._live.publish(run_topic(append.run_id), {"type": "step", "seq": seq})


def _future() -> asyncio.Future[Appended]:
    return asyncio.get_running_loop().create_future()


def _fail(append: Append, error: Exception) -> None:
    append.break_line()
    if not append.done.done():  # whoever waited may have been cancelled
        append.done.set_exception(error)


def run_topic(run_id: str) -> str:
    """Return the topic of the live bus on which a run is followed."""
    return f"run:{run_id}"
