"""Merkle trees, tiles and notes against the definitions of the RFCs, computed here anew."""

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.platform.audit.merkle import (
    EMPTY_ROOT,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    proof_of,
    range_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from muster.platform.audit.notes import (
    Checkpoint,
    NoteInvalid,
    PublicKey,
    read_note,
    sign,
    written,
)
from muster.platform.audit.tiles import WIDTH, Edge, Nodes, edge_tiles, leaf_of, tiles_for

LARGEST = 300
ENTRIES = [b"entry %d" % number for number in range(LARGEST)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
# The inputs and the heads that implementations of RFC 6962 are commonly tested with.
KNOWN = [
    (b"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    (b"\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    (b"\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    (b"\x20\x21", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    (b"\x30\x31", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    (b"\x40\x41\x42\x43", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    (
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    ),
    (
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ),
]


def split(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def mth(entries: list[bytes]) -> bytes:
    """Return the head as RFC 6962 defines it."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(m: int, entries: list[bytes]) -> list[bytes]:
    """Return the audit path as RFC 6962 defines it."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def subproof(m: int, entries: list[bytes], whole: bool) -> list[bytes]:
    """Return the consistency proof as RFC 6962 defines it."""
    if m == len(entries):
        return [] if whole else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], whole), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], False), mth(entries[:k])]


def node(level: int, index: int) -> bytes:
    return root_of(LEAVES[index << level : (index + 1) << level])


sizes = st.integers(1, LARGEST)
pairs = st.tuples(sizes, sizes).map(sorted)


def test_the_known_trees() -> None:
    assert EMPTY_ROOT.hex() == sha256(b"").hexdigest()
    leaves = [leaf_hash(entry) for entry, _ in KNOWN]
    for size, (_, root) in enumerate(KNOWN, start=1):
        assert root_of(leaves[:size]).hex() == root == mth([e for e, _ in KNOWN[:size]]).hex()
    assert range_hash(3, 3, node) == EMPTY_ROOT


@pytest.mark.parametrize("size", range(LARGEST))
def test_heads_of_every_size(size: int) -> None:
    edge = Edge()
    for leaf in LEAVES[:size]:
        edge.append(leaf)
    assert root_of(LEAVES[:size]) == range_hash(0, size, node) == edge.root() == mth(ENTRIES[:size])


@settings(deadline=None, max_examples=150)
@given(pairs, st.data())
def test_inclusion(pair: list[int], data: st.DataObject) -> None:
    index, size = pair[0] - 1, pair[1]
    root, leaf = mth(ENTRIES[:size]), LEAVES[index]
    proof = proof_of(inclusion_ranges(index, size), node)
    assert proof == path(index, ENTRIES[:size])
    assert verify_inclusion(index, size, leaf, proof, root)

    assert not verify_inclusion(index, size, leaf, proof, EMPTY_ROOT)
    assert not verify_inclusion(index, size, LEAVES[index - 1], proof, root) or size == 1
    assert not verify_inclusion(index, size, leaf, [*proof, leaf], root)
    assert not verify_inclusion(size, size, leaf, proof, root)
    assert not verify_inclusion(-1, size, leaf, proof, root)
    other = data.draw(st.integers(0, size - 1))
    assert verify_inclusion(other, size, leaf, proof, root) == (other == index)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        broken = [leaf if place == at else hash_ for place, hash_ in enumerate(proof)]
        assert not verify_inclusion(index, size, leaf, broken, root) or broken == proof
        assert not verify_inclusion(index, size, leaf, proof[:-1], root)


@settings(deadline=None, max_examples=150)
@given(pairs, st.data())
def test_consistency(pair: list[int], data: st.DataObject) -> None:
    first, second = pair
    old, new = mth(ENTRIES[:first]), mth(ENTRIES[:second])
    proof = proof_of(consistency_ranges(first, second), node)
    assert proof == subproof(first, ENTRIES[:second], True)
    assert verify_consistency(first, second, old, new, proof)

    assert not verify_consistency(first, second, old, new, [*proof, old])
    assert not verify_consistency(first, second, old, EMPTY_ROOT, proof)
    assert not verify_consistency(first, second, EMPTY_ROOT, new, proof)
    assert not verify_consistency(0, second, old, new, proof)
    if first < second:
        assert not verify_consistency(second, first, new, old, proof)
        assert not verify_consistency(first, second, old, new, proof[:-1])
        at = data.draw(st.integers(0, len(proof) - 1))
        broken = [EMPTY_ROOT if place == at else hash_ for place, hash_ in enumerate(proof)]
        assert not verify_consistency(first, second, old, new, broken)


def test_a_tree_of_tiles_over_three_levels() -> None:
    size = WIDTH * WIDTH + WIDTH + 7
    leaves = [leaf_hash(number.to_bytes(4)) for number in range(size)]
    edge, tiles = Edge(), dict[tuple[int, int], bytes]()
    for number, leaf in enumerate(leaves):
        if number == 70_000 - 4_000:  # grown by another process from what is stored
            tiles |= {tile.key: tile.hashes for tile in edge.partial()}
            edge = Edge(number, tiles)
        tiles |= {tile.key: tile.hashes for tile in edge.append(leaf)}
    tiles |= {tile.key: tile.hashes for tile in edge.partial()}
    nodes = Nodes(tiles)

    assert edge_tiles(size) == [(0, 257), (1, 1), (2, 0)]
    assert edge.root() == root_of(leaves)
    for at in (1, WIDTH, WIDTH + 1, WIDTH * WIDTH - 1, WIDTH * WIDTH, size - 1, size):
        assert range_hash(0, at, nodes) == root_of(leaves[:at])
        proof = proof_of(consistency_ranges(at, size), nodes)
        assert verify_consistency(at, size, root_of(leaves[:at]), edge.root(), proof)
        ranges = inclusion_ranges(at - 1, size)
        assert len(tiles_for(ranges)) <= 7
        assert verify_inclusion(at - 1, size, leaves[at - 1], proof_of(ranges, nodes), edge.root())
    with pytest.raises(LookupError):
        nodes(0, size)
    with pytest.raises(LookupError):
        Edge(size, {})


def test_the_leaf_of_an_event_is_of_its_bytes() -> None:
    assert leaf_of("ab" * 32) == sha256(b"\x00" + b"\xab" * 32).digest()
    for wrong in ("ab" * 31, "no", "zz" * 32):
        with pytest.raises(ValueError):
            leaf_of(wrong)


PAIR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = PublicKey.of(PAIR.public_key().public_bytes_raw())
CHECKPOINT = Checkpoint("muster/audit/x", 12, bytes(32), "2026-01-02T03:04:05.000000Z")
NOTE = written(CHECKPOINT, KEY.name, KEY.id, sign(CHECKPOINT, PAIR))


def test_a_note_can_be_read_and_verified() -> None:
    note = read_note(NOTE)

    assert note.checkpoint == CHECKPOINT
    assert note.signed_by(KEY)
    assert not note.signed_by(PublicKey("other", KEY.raw))
    assert not read_note(NOTE.replace("\n12\n", "\n13\n")).signed_by(KEY)
    lines = NOTE.split("\n")
    assert lines[:2] == ["muster/audit/x", "12"]
    assert base64.b64decode(lines[2]) == bytes(32)
    assert lines[5].startswith(f"— {KEY.name} ")
    signed = base64.b64decode(lines[5].split()[2])
    named = sha256(KEY.name.encode() + b"\n\x01" + KEY.raw).digest()
    assert signed[:4] == named[:4] == bytes.fromhex(KEY.id)
    PAIR.public_key().verify(signed[4:], "\n".join(lines[:4]).encode() + b"\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n\n", "\n"),
        ("\n12\n", "\n012\n"),
        ("\n12\n", "\n-1\n"),
        ("created ", ""),
        ("AAAA", "AA=A"),
        ("AAAA", ""),
        ("— ", "- "),
        ("\n— ", "\n\n— "),
    ],
)
def test_what_is_no_note(old: str, new: str) -> None:
    with pytest.raises(NoteInvalid):
        read_note(NOTE.replace(old, new, 1))


def test_public_keys_can_be_written_in_several_ways() -> None:
    pem = PAIR.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for text in (KEY.text, KEY.base64, pem, f" {KEY.text}\n"):
        assert PublicKey.parse(text) == KEY
    assert not KEY.verifies("text", b"short")
    assert not PublicKey("short", b"short").verifies("text", bytes(64))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "32 bytes"),
        ("no key", "base64"),
        (base64.b64encode(bytes(31)).decode(), "32 bytes"),
        (f"{KEY.name}+{KEY.id}+{KEY.base64}", "Ed25519"),
        (f"other+{KEY.id}+{KEY.text.split('+', 2)[2]}", "id of the key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "PEM"),
        (
            generate_private_key(SECP256R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "Ed25519",
        ),
    ],
)
def test_what_is_no_public_key(text: str, said: str) -> None:
    with pytest.raises(NoteInvalid, match=said):
        PublicKey.parse(text)
