"""The growth of a chain's tree, and the signing of what it has become, in one transaction.

Written for `Database.transact`: several processes may do it at once, and the row of the tree is
what they wait for.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, tuple_, update

from muster.kernel import clock
from muster.kernel.chain import GENESIS
from muster.kernel.ids import new_id
from muster.platform.audit.errors import AuditLogBroken, AuditLogEmpty
from muster.platform.audit.keys import SigningKey
from muster.platform.audit.models import AuditCheckpoint, AuditTile, AuditTree
from muster.platform.audit.notes import Checkpoint, origin_of, sign
from muster.platform.audit.tiles import (
    HASH_BYTES,
    WIDTH,
    Edge,
    Tile,
    TileKey,
    edge_tiles,
    leaf_of,
    tile_of,
)
from muster.platform.events import EventRecord

BATCH = 8 * WIDTH
"""Events that one transaction puts into the tree; on SQLite nobody else writes meanwhile."""


def advance(connection: Connection, chain: str, key: SigningKey) -> str | None:
    """Put the next events into the tree; when all are in it, sign it.

    Returns:
        The id of the checkpoint, or None when there are more events.

    Raises:
        AuditLogBroken: The events do not continue those in the tree; nothing is signed over that.
        AuditLogEmpty: There is no event.
    """
    size = _hold(connection, chain)
    # The last event in the tree comes first: what follows must be chained to it.
    events = connection.execute(
        select(EventRecord.seq, EventRecord.previous_hash, EventRecord.hash)
        .where(EventRecord.chain == chain, EventRecord.seq >= max(size, 1))
        .order_by(EventRecord.seq)
        .limit(BATCH + 1)
    ).all()
    known = min(size, 1)
    edge = _edge(connection, chain, size, events[:known])
    if len(events) > known:
        _append(connection, chain, edge, events, known)
    if len(events) > BATCH:
        return None
    if not edge.size:
        raise AuditLogEmpty
    return _sign(connection, chain, edge, key)


def read_tiles(connection: Connection, chain: str, keys: Iterable[TileKey]) -> dict[TileKey, bytes]:
    """Return the tiles of a chain that are there."""
    statement = select(AuditTile.level, AuditTile.position, AuditTile.hashes).where(
        AuditTile.chain == chain, tuple_(AuditTile.level, AuditTile.position).in_(list(keys))
    )
    rows = connection.execute(statement)
    return {(row.level, row.position): row.hashes for row in rows}


def _hold(connection: Connection, chain: str) -> int:
    """Return the size of the tree, which nobody else changes until the end."""
    statement = select(AuditTree.size).where(AuditTree.chain == chain).with_for_update()
    size = connection.scalar(statement)
    if size is None:
        made = _upsert(connection, AuditTree).values(chain=chain, size=0)
        connection.execute(made.on_conflict_do_nothing())
        size = connection.scalar(statement) or 0
    return size


def _edge(
    connection: Connection, chain: str, size: int, last: Sequence[Row[int, str, str]]
) -> Edge:
    if not size:
        return Edge()
    key = tile_of(0, size - 1)
    tiles = read_tiles(connection, chain, [*edge_tiles(size), key])
    if not last or last[0].seq != size:
        raise AuditLogBroken(
            f"Event {size} was signed and is missing now. GET /audit/verify says what was changed."
        )
    end = ((size - 1) % WIDTH + 1) * HASH_BYTES
    if _leaf(last[0].hash) != tiles.get(key, b"")[end - HASH_BYTES : end]:
        raise AuditLogBroken(
            f"Event {size} is another one than was signed. GET /audit/verify says what was changed."
        )
    try:
        return Edge(size, tiles)
    except LookupError as error:
        raise AuditLogBroken("A part of the tree over the events is missing.") from error


def _append(
    connection: Connection, chain: str, edge: Edge, events: Sequence[Row[int, str, str]], known: int
) -> None:
    previous = events[0].hash if known else GENESIS
    tiles: list[Tile] = []
    for event in events[known : BATCH + known]:
        leaf = _leaf(event.hash)
        if event.seq != edge.size + 1 or event.previous_hash != previous or leaf is None:
            raise AuditLogBroken(
                f"Event {edge.size + 1} does not follow the event before it. "
                "GET /audit/verify says what was changed."
            )
        tiles += edge.append(leaf)
        previous = event.hash
    rows = [
        {"chain": chain, "level": tile.level, "position": tile.position, "hashes": tile.hashes}
        for tile in [*tiles, *edge.partial()]
    ]
    put = _upsert(connection, AuditTile)
    put = put.on_conflict_do_update(
        index_elements=["chain", "level", "position"], set_={"hashes": put.excluded.hashes}
    )
    connection.execute(put, rows)
    connection.execute(update(AuditTree).where(AuditTree.chain == chain).values(size=edge.size))


def _sign(connection: Connection, chain: str, edge: Edge, key: SigningKey) -> str:
    signed = select(AuditCheckpoint.id).where(
        AuditCheckpoint.chain == chain, AuditCheckpoint.size == edge.size
    )
    if (known := connection.scalar(signed)) is not None:
        return known
    moment, root, id_ = clock.now(), edge.root(), new_id()
    checkpoint = Checkpoint(origin_of(chain), edge.size, root, clock.iso(moment))
    connection.execute(
        insert(AuditCheckpoint).values(
            id=id_,
            chain=chain,
            size=edge.size,
            root=root.hex(),
            created_at=moment,
            key_id=key.public.id,
            signature=sign(checkpoint, key.pair),
        )
    )
    return id_


def _leaf(event_hash: str) -> bytes | None:
    try:
        return leaf_of(event_hash)
    except ValueError:
        return None


def _upsert(connection: Connection, table: type[Any]) -> Any:
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as upsert
    else:
        from sqlalchemy.dialects.sqlite import insert as upsert
    return upsert(table)
