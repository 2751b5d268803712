"""Verification of the log where it lives: every way of changing it is found."""

import pytest
from sqlalchemy import select

from muster.entrypoints.assembly import Muster
from muster.kernel.chain import GENESIS
from muster.platform.audit import verifying
from muster.platform.audit.models import AuditCheckpoint
from muster.platform.audit.verifying import _check_tree, _TreeCheck, verify_log
from muster.platform.events import EventRecord
from muster.platform.events.recording import row_hash
from tests.platform.audited import fill, tamper
from tests.platform.event_facts import agent_created, tell
from tests.support.people import People

pytestmark = pytest.mark.anyio

CHAIN = "chain-under-test"
EVENTS = 8
SWAP = [
    "UPDATE events SET seq = -3 WHERE chain = :chain AND seq = 3",
    "UPDATE events SET seq = 3 WHERE chain = :chain AND seq = 4",
    "UPDATE events SET seq = 4 WHERE chain = :chain AND seq = -3",
]
CUT_OFF = "DELETE FROM events WHERE chain = :chain AND seq > 5"
SET_BACK = """UPDATE event_chains SET seq = 5, hash = (SELECT hash FROM events
    WHERE chain = :chain AND seq = 5) WHERE chain = :chain"""


@pytest.fixture
async def told(muster: Muster) -> Muster:
    """A log with checkpoints over 2, 6 and 7 of its 8 events."""
    for more in (2, 4, 1):
        await fill(muster, CHAIN, more)
        await muster.audit.checkpoint(CHAIN)
    await fill(muster, CHAIN, 1)
    return muster


async def rewrite(muster: Muster, seq: int) -> None:
    """Change an event and everything that follows from it: hashes, chain, head."""
    async with muster.database.write() as session:
        statement = select(EventRecord).where(EventRecord.chain == CHAIN)
        rows = list(await session.scalars(statement.order_by(EventRecord.seq)))
        previous = GENESIS
        for row in rows:
            if row.seq == seq:
                row.actor_name = "Somebody else"
            row.previous_hash = previous
            row.hash = previous = row_hash(row)
    await tamper(
        muster,
        "UPDATE event_chains SET hash = :hash WHERE chain = :chain",
        hash=previous,
        chain=CHAIN,
    )


@pytest.mark.parametrize("batch", [1, 3, 2048])
async def test_an_untouched_log_is_valid(
    told: Muster, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "BATCH", batch)

    found = await verify_log(told.database, CHAIN)

    assert found.valid
    assert (found.events, found.checkpoints, found.tree_size) == (EVENTS, 3, 7)
    assert (found.first_bad_seq, found.problem, found.reason) == (None, None, None)


async def test_a_large_log_is_valid(muster: Muster) -> None:
    for more in (255, 300, 20):
        await fill(muster, CHAIN, more)
        await muster.audit.checkpoint(CHAIN)

    found = await verify_log(muster.database, CHAIN)

    assert (found.valid, found.events, found.checkpoints) == (True, 575, 3)


@pytest.mark.parametrize("batch", [3, 2048])
@pytest.mark.parametrize(
    ("statements", "seq", "problem"),
    [
        (["UPDATE events SET actor_name = 'Eve' WHERE chain = :chain AND seq = 4"], 4, "changed"),
        (["UPDATE events SET data = '{}' WHERE chain = :chain AND seq = 1"], 1, "changed"),
        (["UPDATE events SET data = '{}' WHERE chain = :chain AND seq = 8"], 8, "changed"),
        (["DELETE FROM events WHERE chain = :chain AND seq = 3"], 3, "missing"),
        (SWAP, 3, "reordered"),
        ([CUT_OFF], 6, "truncated_tail"),
        ([CUT_OFF, SET_BACK], 6, "truncated_tail"),
        ([CUT_OFF, "UPDATE event_chains SET seq = 5 WHERE chain = :chain"], 6, "truncated_tail"),
        (["DELETE FROM events WHERE chain = :chain AND seq = 8"], 8, "truncated_tail"),
        (
            [
                "DELETE FROM events WHERE chain = :chain",
                "DELETE FROM event_chains WHERE chain = :chain",
            ],
            1,
            "truncated_tail",
        ),
        (["UPDATE event_chains SET hash = 'x' WHERE chain = :chain"], 8, "head"),
        (
            ["UPDATE audit_checkpoints SET root = 'x' WHERE chain = :chain AND size = 6"],
            3,
            "signature",
        ),
        (
            ["UPDATE audit_checkpoints SET size = 5 WHERE chain = :chain AND size = 6"],
            3,
            "signature",
        ),
        (["DELETE FROM audit_tiles WHERE chain = :chain"], 1, "tree"),
    ],
)
async def test_a_change_is_found_where_it_is(
    told: Muster,
    statements: list[str],
    seq: int,
    problem: str,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verifying, "BATCH", batch)
    await tamper(told, *statements, chain=CHAIN)

    found = await verify_log(told.database, CHAIN)

    assert not found.valid
    assert (found.problem, found.first_bad_seq, found.events) == (problem, seq, seq - 1)
    assert found.reason is not None
    assert found.reason[-1] == "."


async def test_a_log_that_was_rewritten_with_all_its_hashes_is_found(told: Muster) -> None:
    await rewrite(told, 4)

    found = await verify_log(told.database, CHAIN)

    assert (found.problem, found.first_bad_seq) == ("rewritten", 4)


async def test_a_log_that_was_rewritten_with_its_tree_is_found(told: Muster) -> None:
    signed = []
    async with told.database.read() as session:
        statement = select(AuditCheckpoint).where(AuditCheckpoint.chain == CHAIN)
        signed = list(await session.scalars(statement.order_by(AuditCheckpoint.size)))
    await rewrite(told, 4)
    await tamper(
        told,
        "DELETE FROM audit_checkpoints WHERE chain = :chain",
        "DELETE FROM audit_trees WHERE chain = :chain",
        "DELETE FROM audit_tiles WHERE chain = :chain",
        chain=CHAIN,
    )
    await told.audit.checkpoint(CHAIN)
    assert (await verify_log(told.database, CHAIN)).valid  # nothing here remembers any more

    await tamper(
        told,
        "INSERT INTO audit_checkpoints (id, chain, size, root, created_at, key_id, signature)"
        " SELECT :id, chain, :size, :root, created_at, key_id, :signature"
        " FROM audit_checkpoints WHERE chain = :chain",
        id="kept",
        size=6,
        root=signed[1].root,
        signature=signed[1].signature,
        chain=CHAIN,
    )
    async with told.database.write() as session:
        kept = await session.get_one(AuditCheckpoint, "kept")
        kept.created_at = signed[1].created_at
    found = await verify_log(told.database, CHAIN)

    assert (found.problem, found.first_bad_seq) == ("checkpoint", 1)
    assert "over 6 events" in str(found.reason)


async def test_a_rewritten_log_before_any_checkpoint_again(told: Muster) -> None:
    """The tree has grown and its checkpoints are gone: what it holds still tells."""
    await tamper(told, "DELETE FROM audit_checkpoints WHERE chain = :chain", chain=CHAIN)
    await rewrite(told, 2)

    found = await verify_log(told.database, CHAIN)

    assert (found.problem, found.first_bad_seq) == ("rewritten", 2)


async def test_a_changed_upper_tile_is_found(muster: Muster) -> None:
    await fill(muster, CHAIN, 513)
    await muster.audit.checkpoint(CHAIN)
    await tamper(
        muster,
        "UPDATE audit_tiles SET hashes = :hashes WHERE chain = :chain AND level = 1",
        hashes=bytes(64),
        chain=CHAIN,
    )

    found = await verify_log(muster.database, CHAIN)

    assert (found.problem, found.first_bad_seq) == ("tree", 1)


async def test_events_that_go_away_meanwhile_are_missing(told: Muster) -> None:
    check = _TreeCheck(CHAIN, [], {}, 0)

    found = await _check_tree(told.database, check, EVENTS + 1)

    assert found is not None
    assert (found.problem, found.seq) == ("missing", EVENTS + 1)


async def test_an_empty_log_is_valid(muster: Muster) -> None:
    found = await verify_log(muster.database, "nobody-was-here")

    assert (found.valid, found.events, found.checkpoints) == (True, 0, 0)


async def test_a_member_verifies_the_project(muster: Muster, people: People) -> None:
    await tell(muster, people.project_id, agent_created("Ada"))
    size = (await people.viewer.get("/audit/checkpoint")).json()["size"]

    answer = await people.viewer.get("/audit/verify")

    assert answer.status_code == 200
    shown = answer.json()
    assert len(shown.pop("head_hash")) == 64
    assert shown == {
        "valid": True, "events": size, "checkpoints": 1, "tree_size": size, "head_seq": size,
        "first_bad_seq": None, "problem": None, "reason": None,
    }  # fmt: skip

    await tamper(
        muster,
        "DELETE FROM events WHERE chain = :chain AND seq = :seq",
        chain=people.project_id,
        seq=size,
    )
    shown = (await people.viewer.get("/audit/verify")).json()
    assert (shown["valid"], shown["problem"], shown["first_bad_seq"]) == (
        False, "truncated_tail", size,
    )  # fmt: skip
