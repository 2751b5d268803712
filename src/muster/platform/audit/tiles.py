"""The tree as it is kept: tiles of up to 256 hashes, so that proofs and growth read few rows.

A tile of level L holds hashes of the nodes of level 8 L; what lies between is computed from them.
Tiles only grow at their end, so the tile of today also serves every tree of the past.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from muster.platform.audit.merkle import Range, complete_subtrees, leaf_hash, root_of

HEIGHT = 8
WIDTH = 1 << HEIGHT
HASH_BYTES = 32

TileKey = tuple[int, int]
"""Level and position of a tile."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A row of hashes, one after the other."""

    level: int
    position: int
    hashes: bytes

    @property
    def key(self) -> TileKey:
        return self.level, self.position


def leaf_of(event_hash: str) -> bytes:
    """Return the hash of the leaf of an event.

    Raises:
        ValueError: The event's hash is not 64 hexadecimal digits.
    """
    entry = bytes.fromhex(event_hash)
    if len(entry) != HASH_BYTES:
        raise ValueError("an event's hash has 64 digits")
    return leaf_hash(entry)


def hashes_in(row: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [row[i : i + HASH_BYTES] for i in range(0, len(row), HASH_BYTES)]


def tile_of(level: int, index: int) -> TileKey:
    """Return the tile from which the hash of a node is computed."""
    tile_level, height = divmod(level, HEIGHT)
    return tile_level, (index << height) >> HEIGHT


def tiles_for(ranges: Iterable[Range]) -> set[TileKey]:
    """Return the tiles from which the heads of some subtrees are computed."""
    return {tile_of(*node) for begin, end in ranges for node in complete_subtrees(begin, end)}


def edge_tiles(size: int) -> list[TileKey]:
    """Return the tiles at the right edge of a tree that are not full, lowest level first."""
    keys: list[TileKey] = []
    level = 0
    while units := size >> (HEIGHT * level):
        if units % WIDTH:
            keys.append((level, units >> HEIGHT))
        level += 1
    return keys


class Nodes:
    """Computes nodes from tiles at hand."""

    def __init__(self, tiles: Mapping[TileKey, bytes]) -> None:
        self._tiles = tiles
        self._known: dict[tuple[int, int], bytes] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """Return the hash of a node. A `LookupError` says that its tile is not long enough."""
        known = self._known.get((level, index))
        if known is not None:
            return known
        height = level % HEIGHT
        begin = ((index << height) % WIDTH) * HASH_BYTES
        end = begin + (HASH_BYTES << height)
        row = self._tiles[tile_of(level, index)]
        if len(row) < end:
            raise LookupError("the tile is shorter than the tree")
        found = self._known[level, index] = root_of(hashes_in(row[begin:end]))
        return found


class Edge:
    """The right edge of a tree, to which leaves are appended.

    Args:
        size: Leaves of the tree so far.
        tiles: Its tiles that are not full; see `edge_tiles`.
    """

    def __init__(self, size: int = 0, tiles: Mapping[TileKey, bytes] | None = None) -> None:
        self.size = size
        self._rows: list[list[bytes]] = []
        for level, position in edge_tiles(size):
            self._rows += [[] for _ in range(level + 1 - len(self._rows))]
            units = (size >> (HEIGHT * level)) % WIDTH
            row = (tiles or {}).get((level, position), b"")
            if len(row) < units * HASH_BYTES:
                raise LookupError("the tile is shorter than the tree")
            self._rows[level] = hashes_in(row)[:units]

    def append(self, leaf: bytes) -> list[Tile]:
        """Append the hash of a leaf; return the tiles that are full now."""
        self.size += 1
        full: list[Tile] = []
        level, unit = 0, leaf
        while True:
            if len(self._rows) == level:
                self._rows.append([])
            row = self._rows[level]
            row.append(unit)
            if len(row) < WIDTH:
                return full
            position = (self.size >> (HEIGHT * (level + 1))) - 1
            full.append(Tile(level, position, b"".join(row)))
            self._rows[level], unit, level = [], root_of(row), level + 1

    def partial(self) -> list[Tile]:
        """Return the tiles that are not full."""
        keys = edge_tiles(self.size)
        return [Tile(level, at, b"".join(self._rows[level])) for level, at in keys]

    def root(self) -> bytes:
        """Return the head of the tree."""
        head: list[bytes] = []
        for row in self._rows:
            if row or head:
                head = [root_of(row + head)]
        return root_of(head)
