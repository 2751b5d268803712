"""The audit log through HTTP: checkpoints, keys, proofs, and whose log it is."""

import base64

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from muster.platform.audit import PublicKey
from muster.platform.audit.merkle import verify_consistency, verify_inclusion
from muster.platform.audit.notes import read_note
from muster.platform.audit.tiles import leaf_of
from tests.platform.audited import fill, tamper
from tests.support.people import People

pytestmark = pytest.mark.anyio

PATHS = [
    "/audit/checkpoint",
    "/audit/checkpoints",
    "/audit/keys",
    "/audit/proofs/inclusion",
    "/audit/proofs/consistency?first=1",
    "/audit/verify",
    "/audit/export",
]


async def test_a_checkpoint_is_made_when_there_is_something_new(
    muster: Muster, people: People
) -> None:
    await fill(muster, people.project_id, 3)
    first = (await people.viewer.get("/audit/checkpoint")).json()
    same = (await people.viewer.get("/audit/checkpoint")).json()
    await fill(muster, people.project_id, 1)
    second = (await people.viewer.get("/audit/checkpoint")).json()

    assert first == same
    assert second["size"] == first["size"] + 1
    newest = (await people.viewer.get("/events")).json()["items"][0]
    assert second["size"] == newest["seq"]
    note = read_note(second["note"])
    assert note.checkpoint.origin == second["origin"] == f"muster/audit/{people.project_id}"
    assert (note.checkpoint.size, note.checkpoint.root.hex()) == (second["size"], second["root"])
    assert note.checkpoint.created_at == second["created_at"]
    assert note.signatures[0][1] == second["key_id"]
    assert base64.b64decode(second["signature"]) == note.signatures[0][2]

    keys = (await people.viewer.get("/audit/keys")).json()["keys"]
    assert [key["is_current"] for key in keys] == [True]
    assert keys[0]["id"] == second["key_id"]
    assert keys[0]["algorithm"] == "Ed25519"
    key = PublicKey.parse(keys[0]["verifier_key"])
    assert key == PublicKey.parse(keys[0]["public_key"])
    assert note.signed_by(key)


async def test_checkpoints_are_listed_newest_first(muster: Muster, people: People) -> None:
    made = []
    for _ in range(3):
        await fill(muster, people.project_id, 2)
        made.append((await people.viewer.get("/audit/checkpoint")).json())

    page = (await people.viewer.get("/audit/checkpoints", params={"limit": "2"})).json()
    rest = await people.viewer.get("/audit/checkpoints", params={"cursor": page["next_cursor"]})

    assert page["items"] + rest.json()["items"] == made[::-1]
    assert page["total"] == 3
    assert (await people.outsider.get("/audit/checkpoints")).json()["items"] == []


async def test_an_event_is_proven_to_be_in_a_checkpoint(muster: Muster, people: People) -> None:
    await fill(muster, people.project_id, 6)
    checkpoint = (await people.viewer.get("/audit/checkpoint")).json()
    await fill(muster, people.project_id, 3)
    events = (await people.viewer.get("/events", params={"order": "asc"})).json()["items"]

    for event in events[: checkpoint["size"]]:
        proof = (
            await people.viewer.get(
                "/audit/proofs/inclusion",
                params={"event_id": event["id"], "size": checkpoint["size"]},
            )
        ).json()
        assert (proof["event_id"], proof["seq"]) == (event["id"], event["seq"])
        assert proof["event_hash"] == event["hash"]
        assert proof["root"] == checkpoint["root"]
        assert verify_inclusion(
            proof["leaf_index"],
            proof["size"],
            leaf_of(event["hash"]),
            [bytes.fromhex(hash_) for hash_ in proof["proof"]],
            bytes.fromhex(checkpoint["root"]),
        )

    newest = (await people.viewer.get("/audit/proofs/inclusion")).json()
    assert (newest["event_id"], newest["size"]) == (events[-1]["id"], events[-1]["seq"])


async def test_checkpoints_are_proven_to_be_of_one_log(muster: Muster, people: People) -> None:
    await fill(muster, people.project_id, 5)
    first = (await people.viewer.get("/audit/checkpoint")).json()
    await fill(muster, people.project_id, 4)

    params = {"first": first["size"]}
    proof = (await people.viewer.get("/audit/proofs/consistency", params=params)).json()

    second = (await people.viewer.get("/audit/checkpoint")).json()
    assert (proof["first"], proof["second"]) == (first["size"], second["size"])
    assert (proof["first_root"], proof["second_root"]) == (first["root"], second["root"])
    assert verify_consistency(
        first["size"],
        second["size"],
        bytes.fromhex(first["root"]),
        bytes.fromhex(second["root"]),
        [bytes.fromhex(hash_) for hash_ in proof["proof"]],
    )
    same = {"first": first["size"], "second": first["size"]}
    answer = (await people.viewer.get("/audit/proofs/consistency", params=same)).json()
    assert answer["proof"] == []


REFUSED: list[tuple[str, dict[str, str], int, str]] = [
    ("/audit/proofs/inclusion", {"event_id": "made-up"}, 404, "audit_event_not_found"),
    ("/audit/proofs/inclusion", {"size": "9999"}, 422, "audit_size_invalid"),
    ("/audit/proofs/inclusion", {"size": "0"}, 422, "validation_error"),
    ("/audit/proofs/inclusion", {"event_id": "a" * 37}, 422, "validation_error"),
    ("/audit/proofs/consistency", {}, 422, "validation_error"),
    ("/audit/proofs/consistency", {"first": "many"}, 422, "validation_error"),
    ("/audit/proofs/consistency", {"first": "3", "second": "2"}, 422, "audit_size_invalid"),
    ("/audit/proofs/consistency", {"first": "9999"}, 422, "audit_size_invalid"),
    (
        "/audit/proofs/consistency",
        {"first": "1", "second": "9999"},
        422,
        "audit_size_invalid",
    ),
    ("/audit/checkpoint", {"chain": "another"}, 422, "validation_error"),
    ("/audit/checkpoints", {"limit": "0"}, 422, "validation_error"),
    ("/audit/checkpoints", {"cursor": "%%"}, 400, "bad_cursor"),
    ("/audit/verify", {"deeply": "true"}, 422, "validation_error"),
    ("/audit/export", {"from": "0"}, 422, "validation_error"),
    ("/audit/export", {"from": "yesterday"}, 422, "validation_error"),
    ("/audit/export", {"to": "0001-01-01T00:00:00+14:00"}, 422, "validation_error"),
    ("/audit/export", {"to": "9" * 20}, 422, "validation_error"),
    ("/audit/export", {"to": ""}, 422, "validation_error"),
    ("/audit/export", {"begin": "1"}, 422, "validation_error"),
    ("/audit/export", {"from": "3", "to": "2"}, 422, "audit_range_invalid"),
    ("/audit/export", {"from": "2026-02-01", "to": "2026-01-01"}, 422, "audit_range_invalid"),
    ("/audit/export", {"from": "9999"}, 404, "audit_range_empty"),
    ("/audit/export", {"to": "2001-01-01"}, 404, "audit_range_empty"),
]


async def test_what_is_refused(muster: Muster, people: People) -> None:
    await fill(muster, people.project_id, 5)
    await people.viewer.get("/audit/checkpoint")

    for path, params, status, error in REFUSED:
        answer = await people.viewer.get(path, params=params)

        assert (answer.status_code, answer.json()["error"]) == (status, error), (path, params)
        if status == 422 and error != "audit_range_invalid":
            named = {item["field"] for item in answer.json()["errors"]}
            assert named <= {*params, "first"}, (path, params)


async def test_an_event_that_came_after_the_tree_is_not_in_it(
    muster: Muster, people: People
) -> None:
    await fill(muster, people.project_id, 5)
    newest = (await people.viewer.get("/events")).json()["items"][0]
    await people.viewer.get("/audit/checkpoint")

    answer = await people.viewer.get(
        "/audit/proofs/inclusion", params={"event_id": newest["id"], "size": newest["seq"] - 1}
    )

    assert answer.status_code == 422
    assert f"number {newest['seq']}" in answer.json()["message"]


async def test_a_log_without_events(muster: Muster, people: People) -> None:
    await tamper(muster, "DELETE FROM events WHERE chain = :chain", chain=people.other_project_id)

    for path in (
        "/audit/checkpoint",
        "/audit/proofs/inclusion",
        "/audit/proofs/consistency?first=1",
    ):
        answer = await people.outsider.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "audit_log_empty")
    answer = await people.outsider.get("/audit/export")
    assert (answer.status_code, answer.json()["error"]) == (404, "audit_range_empty")


async def test_a_log_that_was_cut_off_is_not_signed_again(muster: Muster, people: People) -> None:
    await fill(muster, people.project_id, 3)
    size = (await people.viewer.get("/audit/checkpoint")).json()["size"]
    await tamper(
        muster,
        "DELETE FROM events WHERE chain = :chain AND seq = :seq",
        chain=people.project_id,
        seq=size,
    )

    answer = await people.viewer.get("/audit/checkpoint")

    assert (answer.status_code, answer.json()["error"]) == (409, "audit_log_broken")
    assert "/audit/verify" in answer.json()["message"]


async def test_a_tree_that_was_deleted_proves_nothing(muster: Muster, people: People) -> None:
    await fill(muster, people.project_id, 3)
    await people.viewer.get("/audit/checkpoint")
    await tamper(muster, "DELETE FROM audit_tiles WHERE chain = :chain", chain=people.project_id)

    answer = await people.viewer.get("/audit/proofs/inclusion", params={"size": "2"})

    assert (answer.status_code, answer.json()["error"]) == (409, "audit_log_broken")


async def test_nobody_reads_it_without_a_token(anonymous: httpx2.AsyncClient) -> None:
    for path in PATHS:
        assert (await anonymous.get(path)).status_code == 401, path


async def test_an_outsider_sees_another_log(muster: Muster, people: People) -> None:
    await fill(muster, people.project_id, 3)
    await fill(muster, people.other_project_id, 1)
    mine = (await people.viewer.get("/audit/checkpoint")).json()
    theirs = (await people.outsider.get("/audit/checkpoint")).json()
    event = (await people.viewer.get("/events")).json()["items"][0]

    proof = await people.outsider.get("/audit/proofs/inclusion", params={"event_id": event["id"]})
    export = await people.outsider.get("/audit/export")
    there = await people.outsider.get("/audit/export", headers={"X-Project-Id": people.project_id})

    assert theirs["origin"] == f"muster/audit/{people.other_project_id}" != mine["origin"]
    assert (proof.status_code, proof.json()["error"]) == (404, "audit_event_not_found")
    assert people.project_id not in export.text
    assert there.status_code == 404


async def test_the_log_of_the_platform_is_for_admins(muster: Muster, people: People) -> None:
    await people.owner.post("/auth/login", json={"email": "x@muster.test", "password": "wrong one"})
    params = {"chain": "platform"}

    for path in PATHS:
        if path == "/audit/keys":
            continue
        target, _, query = path.partition("?")
        given = {**params, **dict(part.split("=") for part in query.split("&") if part)}
        refused = await people.owner.get(target, params=given)
        assert (refused.status_code, refused.json()["error"]) == (403, "platform_log_forbidden")
        assert (await people.admin.get(target, params=given)).status_code == 200

    checkpoint = (await people.admin.get("/audit/checkpoint", params=params)).json()
    assert checkpoint["origin"] == "muster/audit/platform"
    listed = await people.admin.get(
        "/admin/audit", params={"project_id": "platform", "type": "audit.*", "order": "asc"}
    )
    made, exported = listed.json()["items"]
    assert (made["type"], exported["type"]) == ("audit.key_created", "audit.exported")
    assert exported["data"]["chain_id"] == "platform"
    assert exported["project_id"] is None
    verified = (await people.admin.get("/audit/verify", params=params)).json()
    assert verified["valid"] is True


@pytest.mark.parametrize("event_id", ["a\0b", "💥", "%", "' OR 1=1 --"])
async def test_odd_ids_are_not_found(muster: Muster, people: People, event_id: str) -> None:
    await fill(muster, people.project_id, 2)
    answer = await people.viewer.get("/audit/proofs/inclusion", params={"event_id": event_id})

    assert answer.status_code in {404, 422}
    assert answer.json()["error"] in {"audit_event_not_found", "validation_error"}
