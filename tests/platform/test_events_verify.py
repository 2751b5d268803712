"""The hash chain of the event log: every way of changing it is found."""

import pytest
from sqlalchemy import text

from muster.entrypoints.assembly import Muster
from muster.kernel.chain import chain_hash
from muster.platform.events import verify_chain, verifying
from tests.platform.event_facts import agent_created, run_completed, run_created, tell
from tests.support.people import People

pytestmark = pytest.mark.anyio

CHAIN = "chain-under-test"
EVENTS = 6


async def change(muster: Muster, *statements: str) -> None:
    """Do what somebody with access to the database could do."""
    async with muster.database.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement), {"chain": CHAIN})


@pytest.fixture
async def told(muster: Muster) -> Muster:
    for number in range(EVENTS // 2):
        await tell(muster, CHAIN, run_created(f"run-{number}"), run_completed(f"run-{number}"))
    return muster


@pytest.mark.parametrize("batch", [1, 2, 4, 500])
async def test_an_untouched_chain_is_valid(
    told: Muster, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_BATCH", batch)

    found = await verify_chain(told.database, CHAIN)

    assert found.valid
    assert (found.events, found.head_seq, found.reason) == (EVENTS, EVENTS, None)


SWAP = [
    "UPDATE events SET seq = -3 WHERE chain = :chain AND seq = 3",
    "UPDATE events SET seq = 3 WHERE chain = :chain AND seq = 4",
    "UPDATE events SET seq = 4 WHERE chain = :chain AND seq = -3",
]
REMOVE_AND_RENUMBER = [
    "DELETE FROM events WHERE chain = :chain AND seq = 3",
    *(f"UPDATE events SET seq = {n - 1} WHERE chain = :chain AND seq = {n}" for n in (4, 5, 6)),
]
TRUNCATE_WELL = [
    "DELETE FROM events WHERE chain = :chain AND seq > 4",
    "UPDATE event_chains SET seq = 4 WHERE chain = :chain",
]


@pytest.mark.parametrize("batch", [2, 500])
@pytest.mark.parametrize(
    ("statements", "seq", "problem"),
    [
        (["UPDATE events SET actor_name = 'Eve' WHERE chain = :chain AND seq = 4"], 4, "changed"),
        (["UPDATE events SET data = '{}' WHERE chain = :chain AND seq = 1"], 1, "changed"),
        (["UPDATE events SET data = '\"text\"' WHERE chain = :chain AND seq = 5"], 5, "changed"),
        (["UPDATE events SET request_id = 'x' WHERE chain = :chain AND seq = 6"], 6, "changed"),
        (["UPDATE events SET type = 'run.failed' WHERE chain = :chain AND seq = 2"], 2, "changed"),
        (["DELETE FROM events WHERE chain = :chain AND seq = 1"], 1, "missing"),
        (["DELETE FROM events WHERE chain = :chain AND seq IN (3, 4)"], 3, "missing"),
        (SWAP, 3, "reordered"),
        (REMOVE_AND_RENUMBER, 3, "reordered"),
        (["DELETE FROM events WHERE chain = :chain AND seq > 4"], 5, "truncated"),
        (["DELETE FROM events WHERE chain = :chain"], 1, "truncated"),
        (TRUNCATE_WELL, 4, "head"),
        (["UPDATE event_chains SET seq = 4 WHERE chain = :chain"], 5, "head"),
        (["DELETE FROM event_chains WHERE chain = :chain"], 1, "head"),
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
    monkeypatch.setattr(verifying, "_BATCH", batch)
    await change(told, *statements)

    found = await verify_chain(told.database, CHAIN)

    assert not found.valid
    assert (found.problem, found.first_bad_seq, found.events) == (problem, seq, seq - 1)
    assert found.reason is not None
    assert found.reason[-1] == "."


async def test_an_event_that_cannot_be_read_any_more_is_found(told: Muster) -> None:
    # PostgreSQL keeps such values out of the columns by itself.
    if told.database.is_sqlite:
        await change(told, "UPDATE events SET data = 'no json' WHERE chain = :chain AND seq = 4")
        found = await verify_chain(told.database, CHAIN)
    else:
        await change(
            told,
            "UPDATE events SET data = CAST('{\"n\": 1e999}' AS jsonb) "
            "WHERE chain = :chain AND seq = 4",
        )
        found = await verify_chain(told.database, CHAIN)

    assert (found.problem, found.first_bad_seq, found.events) == ("changed", 4, 3)


async def test_a_rewritten_end_is_found(told: Muster) -> None:
    """Somebody who recomputes the hash of the last event still has to forge the head."""
    forged = chain_hash("0" * 64, {"forged": True})
    await change(told, f"UPDATE event_chains SET hash = '{forged}' WHERE chain = :chain")

    found = await verify_chain(told.database, CHAIN)

    assert (found.problem, found.first_bad_seq) == ("head", EVENTS)


async def test_an_empty_chain_is_valid(muster: Muster) -> None:
    found = await verify_chain(muster.database, "nobody-was-here")

    assert found.valid
    assert (found.events, found.head_seq, found.head_hash) == (0, 0, "0" * 64)


async def test_a_member_verifies_the_project(muster: Muster, people: People) -> None:
    await tell(muster, people.project_id, agent_created(), run_created())
    last = (await people.viewer.get("/events")).json()["items"][0]

    answer = await people.viewer.get("/events/verify")

    assert answer.json() == {
        "valid": True,
        "events": last["seq"],
        "head_seq": last["seq"],
        "head_hash": last["hash"],
        "first_bad_seq": None,
        "problem": None,
        "reason": None,
    }

    async with muster.database.connect() as connection:
        await connection.execute(
            text("UPDATE events SET subject_id = 'x' WHERE id = :id"), {"id": last["id"]}
        )
    answer = await people.viewer.get("/events/verify")
    assert answer.status_code == 200
    assert answer.json()["valid"] is False
    assert answer.json()["problem"] == "changed"
    assert answer.json()["first_bad_seq"] == last["seq"]


async def test_an_admin_verifies_any_chain(muster: Muster, people: People) -> None:
    await people.owner.post("/auth/login", json={"email": "x@muster.test", "password": "wrong one"})
    await tell(muster, people.other_project_id, agent_created())

    platform = await people.admin.get("/admin/audit/verify")
    project = await people.admin.get(
        "/admin/audit/verify", params={"project_id": people.other_project_id}
    )
    nothing = await people.admin.get("/admin/audit/verify", params={"project_id": "made-up"})

    assert platform.json()["valid"] is True
    assert platform.json()["events"] >= 1
    assert project.json()["events"] == 1
    assert nothing.status_code == 404
    assert nothing.json()["error"] == "event_chain_not_found"
