"""Proofs out of the stored tree."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.errors import FieldError
from muster.platform.audit.errors import AuditEventNotFound, AuditLogBroken, AuditSizeInvalid
from muster.platform.audit.growing import read_tiles
from muster.platform.audit.merkle import (
    Range,
    consistency_ranges,
    inclusion_ranges,
    proof_of,
)
from muster.platform.audit.service import tree_size
from muster.platform.audit.tiles import Nodes, tiles_for
from muster.platform.events import EventRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """That an event is in a tree. Hashes are hexadecimal."""

    event_id: str
    seq: int
    leaf_index: int
    event_hash: str
    size: int
    root: str
    proof: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """That a tree begins with an earlier one. Hashes are hexadecimal."""

    first: int
    second: int
    first_root: str
    second_root: str
    proof: list[str]


async def prove_inclusion(
    session: AsyncSession, chain: str, event_id: str | None, size: int
) -> InclusionProof:
    """Prove that an event, or the newest one of the tree, is in the tree of a size."""
    await _check_size(session, chain, "size", size)
    wanted = EventRecord.seq == size if event_id is None else EventRecord.id == event_id
    event = (
        await session.execute(
            select(EventRecord.id, EventRecord.seq, EventRecord.hash).where(
                EventRecord.chain == chain, wanted
            )
        )
    ).one_or_none()
    if event is None:
        raise AuditEventNotFound
    if event.seq > size:
        raise _wrong("size", f"The event is number {event.seq}, after the tree of this size.")
    ranges = inclusion_ranges(event.seq - 1, size)
    whole = (0, size)
    nodes = await load_nodes(session, chain, [*ranges, whole])
    return InclusionProof(
        event_id=event.id,
        seq=event.seq,
        leaf_index=event.seq - 1,
        event_hash=event.hash,
        size=size,
        root=hexed([whole], nodes)[0],
        proof=hexed(ranges, nodes),
    )


async def prove_consistency(
    session: AsyncSession, chain: str, first: int, second: int
) -> ConsistencyProof:
    """Prove that the tree of the second size begins with the tree of the first size."""
    await _check_size(session, chain, "second", second)
    if first > second:
        raise _wrong("first", f"The second tree has {second} events, fewer than the first.")
    ranges = consistency_ranges(first, second)
    wholes = [(0, first), (0, second)]
    nodes = await load_nodes(session, chain, [*ranges, *wholes])
    first_root, second_root = hexed(wholes, nodes)
    return ConsistencyProof(
        first=first,
        second=second,
        first_root=first_root,
        second_root=second_root,
        proof=hexed(ranges, nodes),
    )


async def load_nodes(session: AsyncSession, chain: str, ranges: Iterable[Range]) -> Nodes:
    """Return what computes the heads of some subtrees."""
    keys = tiles_for(ranges)
    connection = await session.connection()
    return Nodes(await connection.run_sync(read_tiles, chain, keys))


def hexed(ranges: Collection[Range], nodes: Nodes) -> list[str]:
    """Return the heads of some subtrees."""
    try:
        return [hash_.hex() for hash_ in proof_of(list(ranges), nodes)]
    except LookupError as error:
        raise AuditLogBroken("A part of the tree over the events is missing.") from error


async def _check_size(session: AsyncSession, chain: str, field: str, size: int) -> None:
    largest = await tree_size(session, chain)
    if not 1 <= size <= largest:
        raise _wrong(field, f"The tree has {largest} events now; choose a size from 1 to that.")


def _wrong(field: str, message: str) -> AuditSizeInvalid:
    return AuditSizeInvalid(message, errors=[FieldError(field, message)])
