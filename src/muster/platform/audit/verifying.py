"""Recomputing everything from the events: the chain, the tree, and what was signed."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Row, select

from muster.kernel import clock
from muster.kernel.db import Database
from muster.platform.audit.growing import BATCH, read_tiles
from muster.platform.audit.models import AuditCheckpoint, AuditKey
from muster.platform.audit.notes import Checkpoint, PublicKey, origin_of
from muster.platform.audit.service import newest_event, tree_size
from muster.platform.audit.tiles import (
    HASH_BYTES,
    HEIGHT,
    WIDTH,
    Edge,
    Tile,
    TileKey,
    leaf_of,
    tile_of,
)
from muster.platform.events import EventRecord, Verification, verify_chain

Problem = Literal[
    "changed",
    "missing",
    "reordered",
    "truncated_tail",
    "head",
    "rewritten",
    "tree",
    "checkpoint",
    "signature",
]

_REASONS: dict[Problem, str] = {
    "missing": "Event {seq} is missing.",
    "truncated_tail": "Event {seq} and what came after it are missing: the end was cut off, "
    "which reached to event {size} when it was signed.",
    "rewritten": "Event {seq} is another one than was put into the tree: the log was rewritten "
    "from here on, hashes included.",
    "tree": "The stored tree does not fit the events from {seq} on, which are as they were signed: "
    "its proofs are not valid.",
    "checkpoint": "The checkpoint over {size} events was made over others: the log was rewritten "
    "somewhere from event {seq} on, or the checkpoint was.",
    "signature": "The checkpoint over {size} events was changed: its signature is not valid.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The first thing that is wrong."""

    seq: int
    problem: Problem
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogVerification:
    """The outcome. `events` counts those that are right, from the first on."""

    chain: str
    events: int
    checkpoints: int
    tree_size: int
    head_seq: int
    head_hash: str
    finding: Finding | None

    @property
    def valid(self) -> bool:
        return self.finding is None

    @property
    def first_bad_seq(self) -> int | None:
        return self.finding and self.finding.seq

    @property
    def problem(self) -> Problem | None:
        return self.finding and self.finding.problem

    @property
    def reason(self) -> str | None:
        return self.finding and self.finding.reason


async def verify_log(database: Database, chain: str) -> LogVerification:
    """Recompute a chain with its tree; no session is held for longer than a batch."""
    # What was signed first: events only become more meanwhile.
    async with database.read() as session:
        size = await tree_size(session, chain)
        statement = select(AuditCheckpoint).where(AuditCheckpoint.chain == chain)
        signed = (await session.scalars(statement.order_by(AuditCheckpoint.size))).all()
        keys = {
            row.id: PublicKey(row.name, row.public_key)
            for row in await session.scalars(select(AuditKey))
        }
        last = await newest_event(session, chain)
    found = await verify_chain(database, chain)
    reached = max([size, *(row.size for row in signed[-1:])])
    finding = _of_chain(found, last, reached)
    end = finding.seq - 1 if finding else found.head_seq
    check = _TreeCheck(chain, signed, keys, size)
    # What is wrong with an earlier event goes before.
    finding = await _check_tree(database, check, end) or finding
    return LogVerification(
        chain=chain,
        events=finding.seq - 1 if finding else found.events,
        checkpoints=check.checked,
        tree_size=size,
        head_seq=found.head_seq,
        head_hash=found.head_hash,
        finding=finding,
    )


def _of_chain(found: Verification, last: int, reached: int) -> Finding | None:
    """Return what is wrong with the chain of hashes, or with its length."""
    if last < reached and found.problem in {None, "truncated", "head"}:
        # Somebody who cuts the log off sets back its head too, but cannot set back what was signed.
        return _finding(last + 1, "truncated_tail", reached)
    if found.problem is None or found.first_bad_seq is None or found.reason is None:
        return None
    problem: Problem = "truncated_tail" if found.problem == "truncated" else found.problem
    return Finding(seq=found.first_bad_seq, problem=problem, reason=found.reason)


async def _check_tree(database: Database, check: "_TreeCheck", end: int) -> Finding | None:
    while (seq := check.edge.size) < end:
        limit = min(BATCH, end - seq)
        async with database.read() as session:
            statement = (
                select(EventRecord.seq, EventRecord.hash)
                .where(EventRecord.chain == check.chain, EventRecord.seq > seq)
                .order_by(EventRecord.seq)
                .limit(limit)
            )
            events = (await session.execute(statement)).all()
            connection = await session.connection()
            tiles = await connection.run_sync(
                read_tiles, check.chain, _tiles_over(seq, seq + limit)
            )
        if len(events) < limit:  # removed while this looks
            return _finding(seq + len(events) + 1, "missing", end)
        finding = await asyncio.to_thread(check.feed, events, tiles)
        if finding is not None:
            return finding
    return None


class _TreeCheck:
    """Builds the tree anew and compares it with what is stored and signed."""

    def __init__(
        self,
        chain: str,
        signed: Sequence[AuditCheckpoint],
        keys: dict[str, PublicKey],
        size: int,
    ) -> None:
        self.chain, self.edge, self.checked = chain, Edge(), 0
        self._signed, self._keys, self._size = signed, keys, size
        self._good = 0
        self._suspect: int | None = None

    def feed(self, events: Sequence[Row[int, str]], tiles: dict[TileKey, bytes]) -> Finding | None:
        """Take the next events and the stored tiles over them; return what is wrong first."""
        for event in events:
            full = self.edge.append(leaf_of(event.hash))
            if self._suspect is None and self.edge.size <= self._size:
                self._suspect = self._compare(leaf_of(event.hash), full, tiles)
            finding = self._checkpoint()
            if finding is None and self._suspect and self.edge.size == self._size:
                finding = _finding(self._suspect, "rewritten", self._size)
            if finding is not None:
                return finding
        return None

    def _compare(
        self, leaf: bytes, full: Sequence[Tile], tiles: dict[TileKey, bytes]
    ) -> int | None:
        """Return the first event from which on the stored tree differs."""
        seq = self.edge.size
        row = tiles.get(tile_of(0, seq - 1), b"")
        at = ((seq - 1) % WIDTH) * HASH_BYTES
        if row[at : at + HASH_BYTES] != leaf:
            return seq
        if seq == self._size:
            full = [*full, *self.edge.partial()]
        for tile in full:
            if tiles.get(tile.key) != tile.hashes:
                return (tile.position << (HEIGHT * (tile.level + 1))) + 1
        return None

    def _checkpoint(self) -> Finding | None:
        if self.checked == len(self._signed) or self._signed[self.checked].size > self.edge.size:
            return None
        row, seq = self._signed[self.checked], self._good + 1
        is_signed, fits = self._is_signed(row), row.root == self.edge.root().hex()
        if is_signed and fits:
            self.checked, self._good = self.checked + 1, row.size
            # The events are as they were signed, so it is the tree that was changed.
            return _finding(self._suspect, "tree", row.size) if self._suspect else None
        if self._suspect is not None:
            return _finding(self._suspect, "rewritten", row.size)
        return _finding(seq, "signature" if not is_signed else "checkpoint", row.size)

    def _is_signed(self, row: AuditCheckpoint) -> bool:
        key = self._keys.get(row.key_id)
        return key is not None and key.verifies(checkpoint_of(row).text, row.signature)


def checkpoint_of(row: AuditCheckpoint) -> Checkpoint:
    """Return what a row says, as it was signed."""
    try:
        root = bytes.fromhex(row.root)
    except ValueError:
        root = b""  # was never signed
    return Checkpoint(origin_of(row.chain), row.size, root, clock.iso(row.created_at))


def _tiles_over(begin: int, end: int) -> set[TileKey]:
    """Return the tiles that have something to do with the leaves of a range."""
    return set(_each_tile(begin, end))


def _each_tile(begin: int, end: int) -> Iterator[TileKey]:
    level = 0
    while True:
        shift = HEIGHT * (level + 1)
        yield from ((level, at) for at in range(begin >> shift, ((end - 1) >> shift) + 1))
        if end >> shift == 0:
            return
        level += 1


def _finding(seq: int, problem: Problem, size: int) -> Finding:
    return Finding(seq=seq, problem=problem, reason=_REASONS[problem].format(seq=seq, size=size))
