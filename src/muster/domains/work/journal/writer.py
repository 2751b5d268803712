"""The one writer of steps: chains the hashes and groups concurrent appends into one commit.

A commit costs a sync to the disk, and a sync costs the same for one step as for fifty. Appends
that arrive while one is being written wait in a queue and are written together with the next one,
so that the writer is never idle while there is work, and never waits for more work to come.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.journal.models import Intent, Run, Step
from muster.domains.work.journal.payloads import BlobStore, stored_value
from muster.domains.work.journal.statuses import RunStatus, StepKind, StepStatus
from muster.kernel import clock, metrics
from muster.kernel.chain import chain_hash
from muster.kernel.db import Database, after_commit
from muster.kernel.live import LiveBus

_MAX_GROUP = 256


class Fenced(Exception):
    """The run was taken up by another process, or was ended: this one must stop working on it."""


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


@dataclass(frozen=True, slots=True)
class Appended:
    """Numbers of the appended steps, whether somebody has asked the run to stop meanwhile, and the
    hash of the last step.
    """

    seqs: list[int]
    stop_requested: bool
    tail: str


@dataclass(slots=True)
class _Append:
    run_id: str
    fence: int
    rows: list[dict[str, Any]]
    intent: dict[str, Any] | None
    done: asyncio.Future[Appended]


_COUNTED = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
_HASHED = tuple(c.key for c in Step.__table__.columns if c.key not in {"hash", "previous_hash"})

_HEADS = select(
    Run.id,
    Run.project_id,
    Run.fence,
    Run.head_seq,
    Run.head_hash,
    Run.segment,
    Run.stop_requested,
    Run.status,
).with_for_update()
_GROW = (
    update(Run.__table__)  # pyright: ignore[reportArgumentType]
    .where(Run.__table__.c.id == bindparam("run"))
    .values(
        head_seq=bindparam("to_seq"),
        head_hash=bindparam("to_hash"),
        model_calls=Run.__table__.c.model_calls + bindparam("d_model_calls"),
        tool_calls=Run.__table__.c.tool_calls + bindparam("d_tool_calls"),
        unpriced_calls=Run.__table__.c.unpriced_calls + bindparam("d_unpriced_calls"),
        cost=Run.__table__.c.cost + bindparam("d_cost"),
        **{name: Run.__table__.c[name] + bindparam(f"d_{name}") for name in _COUNTED},
    )
)
_FORGET = delete(Intent.__table__).where(  # pyright: ignore[reportArgumentType]
    Intent.__table__.c.run_id == bindparam("run"), Intent.__table__.c.key == bindparam("step")
)


def step_hash(previous: str, row: dict[str, Any]) -> str:
    """Return the hash of a step: it covers every column but the two hashes."""
    fields = {name: row[name] for name in _HASHED}
    fields["started_at"] = clock.iso(fields["started_at"])
    fields["ended_at"] = clock.iso(fields["ended_at"])
    return chain_hash(previous, fields)


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
        self._waiting: list[_Append] = []
        self._flusher: asyncio.Task[None] | None = None

    async def append(self, run_id: str, fence: int, steps: Sequence[NewStep]) -> Appended:
        """Append steps to a run; returns when they are durable.

        Raises `Fenced` when another process holds the run.
        """
        return await self._submit(run_id, fence, await self.rows(steps), None)

    async def rows(self, steps: Sequence[NewStep]) -> list[dict[str, Any]]:
        """Return steps as they are stored, their large payloads put away."""
        return [await self._row(step) for step in steps]

    async def append_within(
        self, session: AsyncSession, run_id: str, fence: int, rows: list[dict[str, Any]]
    ) -> Appended:
        """Append what `rows` returned in the unit of work of `session`, and with it.

        Raises `Fenced` when another process holds the run.
        """
        done: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        group = [_Append(run_id, fence, rows, None, done)]
        connection = await session.connection()
        numbers = await connection.run_sync(partial(self._append_group, group))
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
        await self._submit(run_id, fence, [], intent)

    async def _submit(
        self,
        run_id: str,
        fence: int,
        rows: list[dict[str, Any]],
        intent: dict[str, Any] | None,
    ) -> Appended:
        done: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Append(run_id, fence, rows, intent, done))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="journal-writer")
        # Shielded: a step that is in the queue is written even if its run is cancelled meanwhile.
        return await asyncio.shield(done)

    async def _row(self, step: NewStep) -> dict[str, Any]:
        row: dict[str, Any] = {
            "key": step.key,
            "parent_key": step.parent_key,
            "agent_id": step.agent_id,
            "kind": step.kind.value,
            "verb": step.verb,
            "name": step.name[:255],
            "status": step.status.value,
            "cost": step.cost,
            "started_at": step.started_at,
            "ended_at": step.ended_at,
        }
        for name in _COUNTED:
            row[name] = getattr(step, name)
        for name in ("input", "output", "properties", "decision", "error"):
            row[name] = await stored_value(getattr(step, name), self._blobs, self._threshold)
        return row

    async def _flush(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_MAX_GROUP], self._waiting[_MAX_GROUP:]
            try:
                await self._write(group)
            except Exception as error:  # noqa: BLE001 - handed to those who wait
                await self._write_one_by_one(group, error)

    async def _write_one_by_one(self, group: list[_Append], error: Exception) -> None:
        if len(group) == 1 or not isinstance(error, DBAPIError):
            for append in group:
                if not append.done.done():
                    append.done.set_exception(error)
            return
        # One bad append must not fail the others that happened to share its commit.
        for append in group:
            try:
                await self._write([append])
            except Exception as alone:  # noqa: BLE001
                append.done.set_exception(alone)

    async def _write(self, group: list[_Append]) -> None:
        self._report(group, await self._database.transact(partial(self._append_group, group)))

    def _append_group(self, group: list[_Append], connection: Connection) -> list[Appended | None]:
        """Write a group in one transaction."""
        ids = sorted({append.run_id for append in group})
        found = connection.execute(_HEADS.where(Run.id.in_(ids)).order_by(Run.id))
        heads: dict[str, dict[str, Any]] = {row["id"]: dict(row) for row in found.mappings()}
        steps: list[dict[str, Any]] = []
        growth: dict[str, dict[str, Any]] = {}
        settled: list[dict[str, str]] = []
        intents: list[dict[str, Any]] = []
        numbers: list[Appended | None] = []
        for append in group:
            head = heads.get(append.run_id)
            if head is None or _refused(head, append):
                numbers.append(None)
                continue
            if append.intent is not None:
                intents.append(append.intent)
            seqs = [self._chain(head, row, steps, growth) for row in append.rows]
            stopping = head["stop_requested"] is not None
            numbers.append(Appended(seqs, stopping, head["head_hash"]))
            settled += [{"run": append.run_id, "step": row["key"]} for row in append.rows]
        _apply(connection, steps, growth, settled, intents)
        return numbers

    def _chain(
        self,
        head: dict[str, Any],
        row: dict[str, Any],
        steps: list[dict[str, Any]],
        growth: dict[str, dict[str, Any]],
    ) -> int:
        run_id: str = head["id"]
        row = {
            **row,
            "run_id": run_id,
            "project_id": head["project_id"],
            "segment": head["segment"],
            "seq": head["head_seq"] + 1,
            "key": row["key"] or f"x{head['head_seq'] + 1}",
        }
        row["previous_hash"] = head["head_hash"]
        row["hash"] = step_hash(head["head_hash"], row)
        head["head_seq"], head["head_hash"] = row["seq"], row["hash"]
        steps.append(row)
        change = growth.setdefault(run_id, {"run": run_id, **dict.fromkeys(_DELTAS, 0)})
        change["to_seq"], change["to_hash"] = row["seq"], row["hash"]
        is_model = row["kind"] == StepKind.MODEL
        change["d_model_calls"] += is_model
        change["d_tool_calls"] += row["key"].startswith("t")
        change["d_unpriced_calls"] += is_model and row["cost"] is None
        change["d_cost"] += row["cost"] or 0.0
        for name in _COUNTED:
            change[f"d_{name}"] += row[name]
        return int(row["seq"])

    def _report(self, group: list[_Append], numbers: list[Appended | None]) -> None:
        for append, appended in zip(group, numbers, strict=True):
            if append.done.done():
                continue
            if appended is None:
                append.done.set_exception(Fenced(append.run_id))
                continue
            append.done.set_result(appended)
            for row, seq in zip(append.rows, appended.seqs, strict=True):
                metrics.STEPS.labels(row["kind"], row["status"]).inc()
                self._live.publish(run_topic(append.run_id), {"type": "step", "seq": seq})


def _refused(head: dict[str, Any], append: _Append) -> bool:
    """Tell whether an append comes too late: another process has the run, or it has ended.

    Only what was broken off may still be recorded in a run that somebody ended.
    """
    if head["fence"] != append.fence:
        return True
    if not RunStatus(head["status"]).is_final:
        return False
    return any(row["status"] != StepStatus.CANCELLED for row in append.rows)


_DELTAS = (
    "d_model_calls",
    "d_tool_calls",
    "d_unpriced_calls",
    "d_cost",
    *(f"d_{name}" for name in _COUNTED),
)


def run_topic(run_id: str) -> str:
    """Return the topic of the live bus on which a run is followed."""
    return f"run:{run_id}"


def _apply(
    connection: Connection,
    steps: list[dict[str, Any]],
    growth: dict[str, dict[str, Any]],
    settled: list[dict[str, str]],
    intents: list[dict[str, Any]],
) -> None:
    if steps:
        connection.execute(insert(Step), steps)
        connection.execute(_GROW, list(growth.values()))
    acted = [entry for entry in settled if entry["step"].startswith("t")]
    if acted:
        connection.execute(_FORGET, acted)
    if intents:
        connection.execute(insert(Intent), intents)
