"""Logs for the tests of the audit log, and ways to get at them."""

import json
from typing import Any

import httpx2
from sqlalchemy import text

from muster.entrypoints.assembly import Muster
from tests.platform.event_facts import run_completed, run_created, tell


async def fill(muster: Muster, chain: str, count: int) -> None:
    """Record events in one unit of work."""
    facts = [run_created, run_completed]
    await tell(muster, chain, *(facts[number % 2](f"run-{number}") for number in range(count)))


async def tamper(muster: Muster, *statements: str, **values: Any) -> None:
    """Do what somebody with access to the database could do."""
    async with muster.database.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement), values)


async def export_of(client: httpx2.AsyncClient, **params: str) -> list[dict[str, Any]]:
    """Return the lines of an export."""
    answer = await client.get("/audit/export", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def as_text(lines: list[dict[str, Any]]) -> list[str]:
    """Return the lines of an export as they are in a file."""
    return [json.dumps(line) + "\n" for line in lines]
