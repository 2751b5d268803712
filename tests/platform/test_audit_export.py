"""Exports and their check offline: whatever is changed in the file or in the database is found."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muster.entrypoints.assembly import Muster
from muster.kernel.chain import chain_hash
from muster.kernel.crypto import MasterKey
from muster.platform.access import Caller
from muster.platform.audit import ExportReport, PublicKey, exporting, verify_export
from muster.platform.audit.exporting import begin_export, export_head, export_lines
from muster.platform.audit.merkle import inclusion_ranges, proof_of, root_of
from muster.platform.audit.notes import Checkpoint, read_note, sign, written
from muster.platform.audit.service import AuditLog
from muster.platform.audit.tiles import Edge, leaf_of
from tests.platform.audited import as_text, export_of, fill, tamper
from tests.support.people import People

pytestmark = pytest.mark.anyio

Lines = list[dict[str, Any]]


def checked(lines: Lines, *trusted: PublicKey) -> ExportReport:
    return verify_export(as_text(lines), trusted)


def of_kind(lines: Lines, kind: str) -> Lines:
    return [line for line in lines if line["kind"] == kind]


@pytest.fixture
async def signed(muster: Muster, people: People) -> list[int]:
    """Three checkpoints over the project's log, which has two events more."""
    sizes = []
    for more in (3, 2, 4):
        await fill(muster, people.project_id, more)
        sizes.append((await people.viewer.get("/audit/checkpoint")).json()["size"])
    await fill(muster, people.project_id, 2)
    return sizes


@pytest.fixture
async def lines(people: People, signed: list[int]) -> Lines:
    return await export_of(people.viewer)


async def test_an_export_proves_itself(
    muster: Muster, people: People, signed: list[int], lines: Lines
) -> None:
    key = (await muster.audit.key()).public
    report = checked(lines, key)

    assert report.valid, report.problem
    assert report.key_is_trusted
    assert (report.chain, report.first_seq) == (people.project_id, 1)
    assert (report.events, report.last_seq) == (signed[-1] + 2, signed[-1] + 2)
    assert (report.checkpoints, report.size) == (4, signed[-1] + 3)
    assert report.keys == [key]
    own = checked(lines)
    assert own.valid
    assert not own.key_is_trusted
    events = of_kind(lines, "event")
    listed = (await people.viewer.get("/events", params={"limit": "200", "order": "asc"})).json()
    assert [e["event"]["hash"] for e in events] == [e["hash"] for e in listed["items"]][:-1]

    last = listed["items"][-1]
    assert last["type"] == "audit.exported"
    assert last["data"] == {
        "chain_id": people.project_id,
        "first_seq": 1,
        "last_seq": signed[-1] + 2,
    }
    assert last["actor"]["kind"] == "user"


@pytest.mark.parametrize("batch", [1, 4])
async def test_a_part_of_the_log_proves_itself(
    people: People, signed: list[int], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_BATCH", batch)
    first, last = signed[0] + 1, signed[1] + 1
    lines = await export_of(people.viewer, **{"from": str(first), "to": str(last)})

    report = checked(lines)

    assert report.valid, report.problem
    assert (report.first_seq, report.last_seq, report.events) == (first, last, last - first + 1)
    sizes = [line["size"] for line in of_kind(lines, "checkpoint")]
    assert sizes == [signed[0], signed[1], signed[2] + 3]


async def test_a_time_of_the_log_proves_itself(people: People, signed: list[int]) -> None:
    events = (await people.viewer.get("/events", params={"order": "asc"})).json()["items"]
    begin, end = events[2]["created_at"], events[5]["created_at"]

    both = await export_of(people.viewer, **{"from": begin, "to": end})
    later = await export_of(people.viewer, **{"from": begin.removesuffix("Z"), "to": "7"})
    early = await export_of(people.viewer, **{"from": "2", "to": end})

    for lines in (both, later, early):
        assert checked(lines).valid
        times = [line["event"]["created_at"] for line in of_kind(lines, "event")]
        assert times
        assert all(begin <= time for time in times) or lines is early
        assert all(time <= end for time in times) or lines is later


async def test_a_large_log_proves_itself(muster: Muster, people: People) -> None:
    await fill(muster, people.project_id, 600)
    lines = await export_of(people.viewer)

    report = checked(lines)

    assert report.valid, report.problem
    assert report.events == len(of_kind(lines, "event")) >= 600


async def test_what_an_older_key_has_signed_stays_valid(
    muster: Muster, people: People, signed: list[int]
) -> None:
    old = (await muster.audit.key()).public
    muster.app.state.audit = other = AuditLog(muster.database, MasterKey(bytes(32)))
    new = (await other.key()).public

    lines = await export_of(people.viewer)

    assert checked(lines, old, new).keys == [old, new]
    assert checked(lines, old, new).valid
    alone = checked(lines, old).problem
    assert alone is not None
    assert (alone.problem, new.id in alone.reason) == ("signature", True)
    keys = (await people.viewer.get("/audit/keys")).json()["keys"]
    assert {key["id"]: key["is_current"] for key in keys} == {old.id: False, new.id: True}


def test_heads_of_journals_are_counted() -> None:
    """An export made by hand, from nothing but the description of its format."""
    pair = Ed25519PrivateKey.generate()
    key = PublicKey.of(pair.public_key().public_bytes_raw())
    facts = [
        {"type": "run.completed", "data": {"head_seq": 9, "head_hash": "a" * 64}},
        {"type": "run.failed", "data": {}},
        {"type": "agent.created", "data": {"head_hash": "a" * 64}},
    ]
    events, edge, previous = list[dict[str, Any]](), Edge(), "0" * 64
    for seq, fact in enumerate(facts, start=1):
        fields = {"id": f"event-{seq}", "chain": "c", "seq": seq, **fact}
        hash_ = chain_hash(previous, fields)
        events.append({**fields, "previous_hash": previous, "hash": hash_})
        edge.append(leaf_of(hash_))
        previous = hash_
    checkpoint = Checkpoint("muster/audit/c", 3, edge.root(), "2026-01-02T03:04:05.000000Z")
    note = written(checkpoint, key.name, key.id, sign(checkpoint, pair))
    leaves = [leaf_of(event["hash"]) for event in events]

    def node(level: int, at: int) -> bytes:
        return root_of(leaves[at << level : (at + 1) << level])

    proofs = [proof_of(inclusion_ranges(at, 3), node) for at in range(3)]
    head = {"kind": "export", "format": "muster-audit-export/1", "chain": "c"}
    lines: Lines = [
        {**head, "first_seq": 1, "last_seq": 3, "size": 3},
        {"kind": "checkpoint", "note": note},
        *(
            {"kind": "event", "event": event, "proof": [hash_.hex() for hash_ in proof]}
            for event, proof in zip(events, proofs, strict=True)
        ),
        {"kind": "end"},
    ]

    report = checked(lines, key)

    assert report.valid, report.problem
    assert (report.events, report.run_journals, report.exported_at) == (3, 1, None)


Change = Callable[[Lines], None]


def event(lines: Lines, number: int) -> dict[str, Any]:
    return of_kind(lines, "event")[number - 1]


def change_field(lines: Lines) -> None:
    event(lines, 4)["event"]["actor_name"] = "Somebody else"


def change_data(lines: Lines) -> None:
    event(lines, 4)["event"]["data"]["name"] = "Other"


def add_field(lines: Lines) -> None:
    event(lines, 4)["event"]["note"] = "not hashed?"


def change_and_hash(lines: Lines) -> None:
    fields = dict(event(lines, 4)["event"], actor_name="Somebody else")
    fields.pop("hash")
    fields["hash"] = chain_hash(fields.pop("previous_hash"), fields)
    event(lines, 4)["event"] |= fields


def break_hash(lines: Lines) -> None:
    event(lines, 4)["event"]["hash"] = "A" * 64


def not_canonical(lines: Lines) -> None:
    event(lines, 4)["event"]["data"] = {"n": float("nan")}


def break_link(lines: Lines) -> None:
    fields = dict(event(lines, 4)["event"], previous_hash="a" * 64)
    fields.pop("hash")
    fields["hash"] = chain_hash(fields.pop("previous_hash"), fields)
    event(lines, 4)["event"] |= {**fields, "previous_hash": "a" * 64}


def remove_event(lines: Lines) -> None:
    lines.remove(event(lines, 4))


def remove_tail(lines: Lines) -> None:
    for line in of_kind(lines, "event")[3:]:
        lines.remove(line)


def swap_events(lines: Lines) -> None:
    at = lines.index(event(lines, 4))
    lines[at], lines[at + 1] = lines[at + 1], lines[at]


def repeat_event(lines: Lines) -> None:
    lines.insert(lines.index(event(lines, 4)), event(lines, 3))


def foreign_event(lines: Lines) -> None:
    event(lines, 4)["event"]["chain"] = "another"


def too_many_events(lines: Lines) -> None:
    lines[0]["last_seq"] = 3


def no_event(lines: Lines) -> None:
    event(lines, 4)["event"] = None


def change_proof(lines: Lines) -> None:
    event(lines, 4)["proof"][0] = "a" * 64


def no_proof(lines: Lines) -> None:
    event(lines, 4)["proof"] = "none"


def cut_off(lines: Lines) -> None:
    del lines[-1]


def cut_within(lines: Lines) -> None:
    del lines[-3:]


def change_note(lines: Lines) -> None:
    line = of_kind(lines, "checkpoint")[1]
    line["note"] = line["note"].replace("created 2", "created 3")


def break_note(lines: Lines) -> None:
    of_kind(lines, "checkpoint")[1]["note"] = "nothing"


def other_origin(lines: Lines) -> None:
    line = of_kind(lines, "checkpoint")[0]
    line["note"] = line["note"].replace("muster/audit/", "muster/audit/x")


def other_key(lines: Lines) -> None:
    of_kind(lines, "key")[0]["key"] = PublicKey.of(bytes(32)).text


def no_key(lines: Lines) -> None:
    of_kind(lines, "key")[0]["key"] = "none"


def change_consistency(lines: Lines) -> None:
    of_kind(lines, "checkpoint")[1]["consistency"][0] = "a" * 64


def no_latest(lines: Lines) -> None:
    lines.remove(of_kind(lines, "checkpoint")[-1])


def other_format(lines: Lines) -> None:
    lines[0]["format"] = "muster-audit-export/9"


def other_range(lines: Lines) -> None:
    lines[0]["first_seq"] = 0


def headless(lines: Lines) -> None:
    del lines[0]


def two_heads(lines: Lines) -> None:
    lines.insert(1, lines[0])


def key_at_the_end(lines: Lines) -> None:
    lines.append(lines[1])


def unknown_line(lines: Lines) -> None:
    lines.insert(2, {"kind": "remark"})


def nothing(lines: Lines) -> None:
    lines.clear()


CHANGES: list[tuple[Change, str, int | None]] = [
    (change_field, "changed", 4),
    (change_data, "changed", 4),
    (add_field, "changed", 4),
    (change_and_hash, "rewritten", 4),
    (break_hash, "changed", 4),
    (not_canonical, "changed", 4),
    (break_link, "reordered", 4),
    (remove_event, "missing", 4),
    (remove_tail, "truncated_tail", 4),
    (swap_events, "missing", 4),
    (repeat_event, "reordered", 4),
    (foreign_event, "changed", 4),
    (too_many_events, "unreadable", 4),
    (no_event, "unreadable", 4),
    (change_proof, "rewritten", 4),
    (no_proof, "unreadable", 4),
    (cut_off, "truncated_tail", None),
    (cut_within, "truncated_tail", None),
    (change_note, "signature", None),
    (break_note, "unreadable", None),
    (other_origin, "checkpoint", None),
    (other_key, "signature", None),
    (no_key, "unreadable", None),
    (change_consistency, "consistency", None),
    (no_latest, "checkpoint", 1),
    (other_format, "unreadable", None),
    (other_range, "unreadable", None),
    (headless, "unreadable", None),
    (two_heads, "unreadable", None),
    (key_at_the_end, "unreadable", None),
    (unknown_line, "unreadable", None),
    (nothing, "unreadable", None),
]


async def test_a_change_of_the_file_is_found_where_it_is(lines: Lines) -> None:
    ids = [line["event"]["id"] for line in of_kind(lines, "event")]

    for change, problem, seq in CHANGES:
        changed = deepcopy(lines)
        change(changed)
        report = checked(changed)

        found = report.problem
        assert found is not None, change
        assert not report.valid
        assert (found.problem, found.seq) == (problem, seq), change
        assert found.reason[-1] == "."
        if seq is not None:
            assert report.events == seq - 1, change
            assert found.event_id in {None, *ids}
        if problem == "changed":
            assert found.event_id == ids[3]


@pytest.mark.parametrize("text", ["no json", "[]", "[" * 100_000, b"\xff\xfe\xfd", "\n"])
async def test_what_is_no_export(text: str | bytes) -> None:
    problem = verify_export([text]).problem

    assert problem is not None
    assert (problem.problem, problem.line) == ("unreadable", 1)


async def test_a_forged_export_needs_the_key(muster: Muster, lines: Lines) -> None:
    """Somebody signs it with a key of their own and puts that into the file."""
    forger = await AuditLog(muster.database, MasterKey(bytes(32))).key()
    for line in of_kind(lines, "checkpoint"):
        checkpoint = read_note(line["note"]).checkpoint
        signature = sign(checkpoint, forger.pair)
        line["note"] = written(checkpoint, forger.public.name, forger.public.id, signature)
    of_kind(lines, "key")[0]["key"] = forger.public.text

    assert checked(lines).valid
    problem = checked(lines, (await muster.audit.key()).public).problem
    assert problem is not None
    assert problem.problem == "signature"


SWAP = [
    "UPDATE events SET seq = -4 WHERE chain = :chain AND seq = 4",
    "UPDATE events SET seq = 4 WHERE chain = :chain AND seq = 5",
    "UPDATE events SET seq = 5 WHERE chain = :chain AND seq = -4",
]
CUT_OFF = "DELETE FROM events WHERE chain = :chain AND seq > 4"
SET_BACK = """UPDATE event_chains SET seq = 4, hash = (SELECT hash FROM events
    WHERE chain = :chain AND seq = 4) WHERE chain = :chain"""


@pytest.mark.parametrize(
    ("statements", "problem", "seq"),
    [
        (["UPDATE events SET actor_name = 'Eve' WHERE chain = :chain AND seq = 4"], "changed", 4),
        (["DELETE FROM events WHERE chain = :chain AND seq = 4"], "missing", 4),
        (SWAP, "changed", 4),
        ([CUT_OFF, SET_BACK], "rewritten", 5),
        ([CUT_OFF], "truncated_tail", 5),
    ],
)
async def test_what_was_changed_in_the_database_is_found_in_the_export(
    muster: Muster,
    people: People,
    signed: list[int],
    statements: list[str],
    problem: str,
    seq: int,
) -> None:
    await tamper(muster, *statements, chain=people.project_id)

    found = checked(await export_of(people.viewer)).problem

    assert found is not None
    assert (found.problem, found.seq) == (problem, seq)


async def test_a_broken_log_that_was_never_signed_is_not_exported(
    muster: Muster, people: People
) -> None:
    await fill(muster, people.project_id, 5)
    await tamper(
        muster, "DELETE FROM events WHERE chain = :chain AND seq = 2", chain=people.project_id
    )

    answer = await people.viewer.get("/audit/export")

    assert (answer.status_code, answer.json()["error"]) == (409, "audit_log_broken")


async def test_an_export_that_cannot_go_on_has_no_last_line(
    muster: Muster, people: People, signed: list[int]
) -> None:
    export = await begin_export(
        muster.audit, Caller.system(people.project_id), people.project_id, None, None
    )
    head = await export_head(muster.database, export)
    await tamper(muster, "DELETE FROM audit_tiles WHERE chain = :chain", chain=people.project_id)

    parts = [part async for part in export_lines(muster.database, export, head)]
    answer = await people.viewer.get("/audit/export")

    assert parts == [head]
    kinds = [json.loads(line)["kind"] for line in head.splitlines()]
    assert kinds == ["export", "key", *["checkpoint"] * 4]
    assert (answer.status_code, answer.json()["error"]) == (409, "audit_log_broken")
