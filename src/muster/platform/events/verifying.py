"""Recomputing a chain of events: is every fact as it was written, and is none missing?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from muster.kernel.chain import GENESIS
from muster.kernel.db import Database
from muster.platform.events.models import EventRecord
from muster.platform.events.recording import row_hash
from muster.platform.events.repository import EventRepository

Problem = Literal["changed", "missing", "reordered", "truncated", "head"]

_BATCH = 500
_REASONS: dict[Problem, str] = {
    "changed": "Event {seq} does not have the hash of its fields: it was changed.",
    "missing": "Event {seq} is missing.",
    "reordered": "Event {seq} does not follow the event before it: events were replaced, removed "
    "or put into another order.",
    "truncated": "Event {seq} and what came after it are missing: the end was cut off.",
    "head": "The head of the chain does not fit its newest event: the end was rewritten.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The outcome. `events` counts those that are right, from the first on."""

    events: int
    head_seq: int
    head_hash: str
    first_bad_seq: int | None = None
    problem: Problem | None = None

    @property
    def valid(self) -> bool:
        return self.problem is None

    @property
    def reason(self) -> str | None:
        return self.problem and _REASONS[self.problem].format(seq=self.first_bad_seq)


async def verify_chain(database: Database, chain: str) -> Verification:
    """Recompute a chain up to its present end; no session is held for longer than a batch."""
    async with database.read() as session:
        head_seq, head_hash, last = await EventRepository(session).ends(chain)

    def bad(seq: int, problem: Problem) -> Verification:
        return Verification(
            events=seq - 1,
            head_seq=head_seq,
            head_hash=head_hash,
            first_bad_seq=seq,
            problem=problem,
        )

    seq, previous = 0, GENESIS
    while seq < min(last, head_seq):
        rows = await _batch(database, chain, seq, min(_BATCH, min(last, head_seq) - seq))
        if rows is None:
            return bad(seq + 1, "changed")
        right, previous, problem = await asyncio.to_thread(_check, rows, seq, previous)
        seq += right
        if problem is not None or not rows:
            return bad(seq + 1, problem or "missing")
    if last < head_seq:
        return bad(last + 1, "truncated")
    if last > head_seq or previous != head_hash:
        return bad(max(1, min(last, head_seq + 1)), "head")
    return Verification(events=seq, head_seq=head_seq, head_hash=head_hash)


async def _batch(
    database: Database, chain: str, after: int, limit: int
) -> Sequence[EventRecord] | None:
    """Return the next events; None if the next one cannot even be read any more."""
    try:
        async with database.read() as session:
            return await EventRepository(session).after(chain, after, limit)
    except (ValueError, TypeError):
        # One unreadable row spoils the batch: look at the rows one by one to find it.
        return None if limit == 1 else await _batch(database, chain, after, 1)


def _check(rows: Sequence[EventRecord], seq: int, previous: str) -> tuple[int, str, Problem | None]:
    """Return how many events are right, the hash of the last of them, and the problem after it."""
    for count, row in enumerate(rows):
        if row.seq != seq + count + 1:
            return count, previous, "missing"
        if row.previous_hash != previous:
            return count, previous, "reordered"
        if _hash_of(row) != row.hash:
            return count, previous, "changed"
        previous = row.hash
    return len(rows), previous, None


def _hash_of(row: EventRecord) -> str | None:
    try:
        return row_hash(row)
    except (ValueError, TypeError):  # what cannot be hashed was never written by us
        return None
