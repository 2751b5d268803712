"""Merkle trees as in RFC 6962 and RFC 9162: heads, proofs, and their verification. Pure.

A node is named by its level above the leaves and its index among the nodes of that level; it is
there when all leaves below it are. Ranges of leaves are half-open and counted from 0.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

Node = Callable[[int, int], bytes]
"""Returns the hash of a complete subtree: level, index."""

Range = tuple[int, int]

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the head of a tree whose units, from left to right, have these hashes.

    The units are leaves, or complete subtrees of one size, of which the last may be incomplete.
    """
    if not hashes:
        return EMPTY_ROOT
    row = list(hashes)
    while len(row) > 1:
        # A node without a neighbour moves up as it is, which is the shape that the RFC defines.
        joined = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        row = joined + row[len(joined) * 2 :]
    return row[0]


def complete_subtrees(begin: int, end: int) -> list[tuple[int, int]]:
    """Return the nodes, from left to right, that make up a subtree of a tree.

    Args:
        begin: First leaf; a multiple of the largest power of two that is not above the length.
        end: Leaf after the last one.
    """
    nodes: list[tuple[int, int]] = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append((level, begin >> level))
        begin += 1 << level
    return nodes


def range_hash(begin: int, end: int, node: Node) -> bytes:
    """Return the head of the subtree over some leaves; see `complete_subtrees`."""
    parts = [node(level, index) for level, index in complete_subtrees(begin, end)]
    if not parts:
        return EMPTY_ROOT
    head = parts.pop()
    while parts:
        head = node_hash(parts.pop(), head)
    return head


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return the subtrees whose heads prove that leaf `index` is in the tree of `size` leaves."""
    begin, end = 0, size
    ranges: list[Range] = []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """Return the subtrees whose heads prove that a tree begins with an earlier one.

    Args:
        first: Leaves of the earlier tree, at least one.
        second: Leaves of the later tree, at least `first`.
    """
    begin, end = 0, second
    ranges: list[Range] = []
    while first != end:
        middle = begin + _split(end - begin)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:  # else the earlier tree is itself the subtree, and the verifier has its head
        ranges.append((begin, end))
    return ranges[::-1]


def proof_of(ranges: Sequence[Range], node: Node) -> list[bytes]:
    """Return the hashes of a proof."""
    return [range_hash(begin, end, node) for begin, end in ranges]


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether a leaf (its hash) is number `index` of the tree with this size and head."""
    if not 0 <= index < size:
        return False
    place, last, head = index, size - 1, leaf
    for hash_ in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            head = node_hash(hash_, head)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            head = node_hash(head, hash_)
        place, last = place >> 1, last >> 1
    return last == 0 and head == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether the later tree begins with all leaves of the earlier one."""
    if first == second:
        return first > 0 and not proof and first_root == second_root
    if not 0 < first < second or not proof:
        return False
    hashes = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = hashes[0]
    for hash_ in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(hash_, old), node_hash(hash_, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, hash_)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """Return the largest power of two below a size of at least 2."""
    return 1 << ((size - 1).bit_length() - 1)
