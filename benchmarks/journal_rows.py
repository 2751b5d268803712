"""Journals of any size, written in bulk: rows as the product writes them, without its pace."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import asyncpg
from sqlalchemy import insert
from sqlalchemy.engine import make_url

from muster.domains.work.journal import Run, RunStatus, Step, StepKind
from muster.kernel import clock
from muster.kernel.chain import GENESIS
from muster.kernel.db import Database
from muster.kernel.ids import new_id

NEWEST = 50_000
"""Number of a run that was started a minute ago."""

_CHUNK = 500
_COLUMNS = [column.key for column in Step.__table__.columns]
_AGENTS = 20
_TEXT = "The quarterly figures were compared with those of the year before, and differ in this. "
_DECISION = json.dumps({"action": "allow", "wait_s": 0.0, "findings": []})


async def fill(url: str, project_id: str, *, runs: int, steps: int, first: int) -> list[str]:
    """Write runs with so many steps each; return the ids of the runs.

    Args:
        url: The database, with all tables.
        project_id: Whose runs they are.
        runs: How many.
        steps: Steps of each, at least 2.
        first: Number of the first run: each is a minute newer than the one before.
    """
    database = Database(url)
    ids = [new_id() for _ in range(runs)]
    try:
        for start in range(0, runs, _CHUNK):
            chunk = ids[start : start + _CHUNK]
            numbers = range(first + start, first + start + len(chunk))
            rows = [
                run_row(run_id, project_id, number, steps)
                for run_id, number in zip(chunk, numbers, strict=True)
            ]
            async with database.write() as session:
                await session.execute(insert(Run), rows)
            await _insert_steps(url, rows, steps)
    finally:
        await database.dispose()
    return ids


async def settle(url: str) -> None:
    """Let the database take note of what was written, as it does by itself in time."""
    if url.startswith("sqlite"):
        with sqlite3.connect(_path(url)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    connection = await asyncpg.connect(_plain(url))
    try:
        await connection.execute("VACUUM (ANALYZE) runs")
        await connection.execute("VACUUM (ANALYZE) steps")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def agent_of(number: int) -> str:
    """Return the agent of a run."""
    return f"agent-{number % _AGENTS}"


def run_row(id: str, project_id: str, number: int, steps: int, **changes: Any) -> dict[str, Any]:
    """Return the row of a run that was completed."""
    began = clock.now() - timedelta(minutes=NEWEST + 1 - number)
    row: dict[str, Any] = {
        "id": id,
        "project_id": project_id,
        "created_at": began,
        "updated_at": began,
        "kind": "agent",
        "name": f"Quarterly report {number}",
        "agent_id": agent_of(number),
        "agent_version": 1,
        "snapshot": {"agent": {"name": "Reporter", "instructions": _TEXT * 3}, "version": 1},
        "inputs": {"prompt": _TEXT},
        "origin": "start",
        "started_by_kind": "user",
        "started_by_id": "user",
        "started_by_name": "Ada",
        "priority": 100,
        "timeout_s": 3600,
        "status": RunStatus.FAILED.value if number % 10 == 0 else RunStatus.COMPLETED.value,
        "result": {"value": _TEXT},
        "started_at": began,
        "completed_at": began + timedelta(seconds=steps),
        "active_ms": steps * 1000,
        "segment": 1,
        "fence": 1,
        "head_seq": steps,
        "head_hash": _hash(id, steps),
        "model_calls": steps // 2,
        "tool_calls": steps // 2,
        "input_tokens": steps * 10,
        "output_tokens": steps * 5,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "cost": 0.01,
        "unpriced_calls": 0,
    }
    return {**row, **changes}


def _step_rows(run: dict[str, Any], steps: int) -> Iterator[dict[str, Any]]:
    moment: datetime = run["created_at"]
    for seq in range(1, steps + 1):
        key, parent, kind, name = _place(seq, steps)
        is_model = kind is StepKind.MODEL
        yield {
            "run_id": run["id"],
            "seq": seq,
            "project_id": run["project_id"],
            "agent_id": run["agent_id"],
            "key": key,
            "parent_key": parent,
            "kind": kind.value,
            "verb": "POST" if is_model else "GET",
            "name": name,
            "status": "ok",
            "input": json.dumps({"query": _TEXT}),
            "output": json.dumps({"content": _TEXT * 2}),
            "properties": json.dumps({"model": name} if is_model else {"tool_kind": "builtin"}),
            "decision": _DECISION,
            "error": None,
            "input_tokens": 20 * is_model,
            "output_tokens": 10 * is_model,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "cost": 0.0004 if is_model else None,
            "segment": 1,
            "started_at": moment + timedelta(seconds=seq - 1),
            "ended_at": moment + timedelta(seconds=seq),
            "previous_hash": _hash(run["id"], seq - 1),
            "hash": _hash(run["id"], seq),
        }


def _place(seq: int, steps: int) -> tuple[str, str | None, StepKind, str]:
    """Return key, parent, kind and name of a step: models and tools in turn."""
    if seq == 1:
        return "start", None, StepKind.TASK_START, "Quarterly report"
    if seq == steps:
        return "end", "start", StepKind.TASK_END, "Quarterly report"
    turn = seq // 2
    if seq % 2 == 0:
        return f"m{turn}", "start", StepKind.MODEL, "openai/scripted-large"
    return f"t{turn}.0", f"m{turn}", StepKind.RESOURCE, "search_files"


def _hash(run_id: str, seq: int) -> str:
    """Return something as long as a hash: reading does not recompute the chain."""
    return sha256(f"{run_id}/{seq}".encode()).hexdigest() if seq else GENESIS


async def _insert_steps(url: str, runs: list[dict[str, Any]], steps: int) -> None:
    rows = (row for run in runs for row in _step_rows(run, steps))
    if url.startswith("sqlite"):
        await asyncio.to_thread(_insert_into_sqlite, _path(url), rows)
        return
    connection = await asyncpg.connect(_plain(url))
    try:
        await connection.copy_records_to_table(
            "steps",
            records=[tuple(row[name] for name in _COLUMNS) for row in rows],
            columns=_COLUMNS,
        )
    finally:
        await connection.close()


def _insert_into_sqlite(path: str, rows: Iterator[dict[str, Any]]) -> None:
    marks = ", ".join("?" * len(_COLUMNS))
    connection = sqlite3.connect(path)
    try:
        # Nobody misses these rows after a power cut.
        connection.execute("PRAGMA synchronous=OFF")
        with connection:
            connection.executemany(
                f"INSERT INTO steps ({', '.join(_COLUMNS)}) VALUES ({marks})",
                (tuple(_for_sqlite(row[name]) for name in _COLUMNS) for row in rows),
            )
    finally:
        connection.close()


def _for_sqlite(value: Any) -> Any:
    # As the product's column type stores times.
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    return value


def _path(url: str) -> str:
    return str(make_url(url).database)


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
