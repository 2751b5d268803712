"""Steps chained to the ends of their runs, a group of them with few statements."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from muster.domains.work.journal.models import Intent, Run, Step
from muster.domains.work.journal.statuses import RunStatus, StepKind, StepStatus
from muster.kernel import clock
from muster.kernel.chain import chain_hash
from muster.kernel.db import Prepared


@dataclass(frozen=True, slots=True)
class Appended:
    """Numbers of the appended steps, whether somebody has asked the run to stop meanwhile, and the
    hash of the last step.
    """

    seqs: list[int]
    stop_requested: bool
    tail: str


@dataclass(slots=True)
class Line:
    """Appends to one run that belong right behind each other, whichever commits they are in.

    When one of them is not written, none that follows it is.
    """

    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """The only place in its run where an append holds: behind the step `after`, in its line."""

    line: Line
    after: int


@dataclass(slots=True)
class Append:
    """What waits to be written to one run: steps that ended, or the intent of one."""

    run_id: str
    fence: int
    rows: list[dict[str, Any]]
    intent: dict[str, Any] | None
    done: asyncio.Future[Appended]
    place: Place | None = None

    def break_line(self) -> None:
        """Keep those from being written that were to follow this one."""
        if self.place is not None:
            self.place.line.is_broken = True


_ACT = "t"
"""What the keys of acts begin with."""
_NODE = "n."
"""What the keys of nodes of a plan begin with: they sum up what runs of their own have cost."""
COUNTED = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
CALLS = ("model_calls", "tool_calls")
_DELTAS = ("model_calls", "tool_calls", "unpriced_calls", "cost", *COUNTED)
_NO_CHANGE = {f"d_{name}": 0 for name in _DELTAS} | {"d_cost": 0.0}
_HASHED = tuple(c.key for c in Step.__table__.columns if c.key not in {"hash", "previous_hash"})


@dataclass(slots=True)
class _Head:
    """The end of a run's chain, as it was read and as it grows."""

    id: str
    project_id: str
    fence: int
    head_seq: int
    head_hash: str
    segment: int
    stop_requested: str | None
    status: str
    grown: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def chain(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with its place in the chain, which it is the end of now."""
        seq = self.head_seq + 1
        row = {
            **row,
            "run_id": self.id,
            "project_id": self.project_id,
            "segment": self.segment,
            "seq": seq,
            "key": row["key"] or f"x{seq}",
            "previous_hash": self.head_hash,
        }
        row["hash"] = self.head_hash = step_hash(self.head_hash, row)
        self.head_seq = seq
        self.grown.append(row)
        return row

    def growth(self, at: datetime) -> dict[str, Any]:
        """Return what the new steps change of the run."""
        change: dict[str, Any] = dict(_NO_CHANGE)
        for row in self.grown:
            for name in COUNTED:
                change[f"d_{name}"] += row[name]
            is_call = row["kind"] == StepKind.MODEL
            change["d_model_calls"] += is_call + row["model_calls"]
            change["d_tool_calls"] += row["key"].startswith(_ACT) + row["tool_calls"]
            if row["cost"] is not None:
                change["d_cost"] += row["cost"]
            elif is_call or row["key"].startswith(_NODE):
                change["d_unpriced_calls"] += 1
        end = {"run": self.id, "to_seq": self.head_seq, "to_hash": self.head_hash, "at": at}
        return change | end


_RUNS = Run.__table__
_INTENTS = Intent.__table__
_APPEND = Prepared(insert(Step.__table__))  # pyright: ignore[reportArgumentType]
_INTEND = Prepared(insert(_INTENTS))  # pyright: ignore[reportArgumentType]
_GROW = Prepared(
    update(_RUNS)  # pyright: ignore[reportArgumentType]
    .where(_RUNS.c.id == bindparam("run"))
    .values(
        head_seq=bindparam("to_seq"),
        head_hash=bindparam("to_hash"),
        updated_at=bindparam("at"),
        **{name: _RUNS.c[name] + bindparam(f"d_{name}") for name in _DELTAS},
    )
)
_FORGET = Prepared(
    delete(_INTENTS).where(  # pyright: ignore[reportArgumentType]
        _INTENTS.c.run_id == bindparam("run"), _INTENTS.c.key == bindparam("step")
    )
)


@cache
def _heads(count: int) -> Prepared:
    """Return the statement that locks and reads so many runs."""
    columns: list[Any] = [_RUNS.c[each.name] for each in fields(_Head) if each.name != "grown"]
    wanted = _RUNS.c.id.in_([bindparam(f"run{number}") for number in range(count)])
    # In one order everywhere: two groups that touch the same runs cannot wait for each other.
    return Prepared(select(*columns).where(wanted).order_by(_RUNS.c.id).with_for_update())


def step_hash(previous: str, row: dict[str, Any]) -> str:
    """Return the hash of a step: it covers every column but the two hashes."""
    fields = {name: row[name] for name in _HASHED}
    fields["started_at"] = clock.iso(fields["started_at"])
    fields["ended_at"] = clock.iso(fields["ended_at"])
    return chain_hash(previous, fields)


def append_group(group: Sequence[Append], connection: Connection) -> list[Appended | None]:
    """Write a group in the transaction of the connection; None stands for what came too late."""
    ids = sorted({append.run_id for append in group})
    named = {f"run{number}": run_id for number, run_id in enumerate(ids)}
    heads = {row[0]: _Head(*row) for row in _heads(len(ids)).execute(connection, named)}
    steps: list[dict[str, Any]] = []
    intents: list[dict[str, Any]] = []
    numbers: list[Appended | None] = []
    for append in group:
        head = heads.get(append.run_id)
        if head is None or _refused(head, append):
            append.break_line()
            numbers.append(None)
            continue
        if append.intent is not None:
            intents.append(append.intent)
        chained = [head.chain(row) for row in append.rows]
        steps += chained
        seqs = [row["seq"] for row in chained]
        numbers.append(Appended(seqs, head.stop_requested is not None, head.head_hash))
    if steps:
        _APPEND.execute(connection, *steps)
        at = clock.now()
        _GROW.execute(connection, *(head.growth(at) for head in heads.values() if head.grown))
    # Only acts are announced beforehand; of one that was broken off it stays open what it did.
    acted = [
        {"run": row["run_id"], "step": row["key"]}
        for row in steps
        if row["key"].startswith(_ACT) and row["status"] != StepStatus.CANCELLED
    ]
    if acted:
        _FORGET.execute(connection, *acted)
    if intents:
        _INTEND.execute(connection, *intents)
    return numbers


def _refused(head: _Head, append: Append) -> bool:
    """Tell whether an append comes too late: another process has the run, or it has ended or grown.

    Only what was broken off may still be recorded in a run that somebody ended; nothing may begin
    to act in it.
    """
    if head.fence != append.fence:
        return True
    place = append.place
    if place is not None and (place.line.is_broken or place.after != head.head_seq):
        return True
    if not RunStatus(head.status).is_final:
        return False
    if append.intent is not None:
        return True
    return any(row["status"] != StepStatus.CANCELLED for row in append.rows)
