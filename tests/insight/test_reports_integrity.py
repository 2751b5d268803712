"""A record that was changed is told in the report, and does not keep it from being made."""

import io
import re
from typing import Any

import msgspec
import pytest
from pypdf import PdfReader
from sqlalchemy import delete, update

from muster.domains.insight.reports.extent import snapshot
from muster.domains.insight.reports.gathering.integrity import _verify
from muster.domains.work.journal import NewStep, Run, Step
from muster.entrypoints.assembly import Muster
from muster.platform.events import EventRecord
from tests.insight.report_setting import World, add_steps, call, eventful, made
from tests.support.people import People
from tests.work.driving import until as until_ended

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(working: Muster, people: People) -> World:
    return await eventful(working, people, runs=4)


async def told(people: People, world: World) -> dict[str, Any]:
    return (await made(people.operator, format="json", **world.period)).json()


async def tamper(muster: Muster, statement: Any) -> None:
    async with muster.database.write() as session:
        await session.execute(statement)


async def run_ids(people: People) -> list[str]:
    items = (await people.viewer.get("/executions")).json()["items"]
    return [run["id"] for run in items]


async def test_untouched(people: People, world: World) -> None:
    integrity = (await told(people, world))["integrity"]
    verified = (await people.viewer.get("/audit/verify")).json()
    assert integrity["events"]["valid"]
    # The report told of itself afterwards.
    assert integrity["events"]["head_seq"] == verified["head_seq"] - 1
    assert (integrity["runs"], integrity["runs_valid"], integrity["steps"]) == (4, 4, 12)
    checkpoint = integrity["checkpoint"]
    assert integrity["checkpoint_problem"] is None
    stored = (await people.viewer.get("/audit/checkpoints")).json()["items"]
    (same,) = [item for item in stored if item["size"] == checkpoint["size"]]
    for name in ("origin", "root", "key_id", "note", "created_at"):
        assert checkpoint[name] == same[name]
    keys = (await people.viewer.get("/audit/keys")).json()["keys"]
    assert checkpoint["public_key"] == keys[0]["verifier_key"]


async def test_a_step_that_was_changed(people: People, working: Muster, world: World) -> None:
    first, second, third, fourth = await run_ids(people)
    for run_id, statement in (
        (first, update(Step).values(output='"other"').where(Step.seq == 2)),
        (second, delete(Step).where(Step.seq == 3)),
        (third, update(Step).values(decision="not JSON").where(Step.seq == 1)),
    ):
        await tamper(working, statement.where(Step.run_id == run_id))
    report = await told(people, world)
    integrity = report["integrity"]
    assert (integrity["runs_valid"], integrity["runs_invalid"]) == (1, 3)
    invalid = {run["run_id"]: run for run in integrity["invalid"]}
    assert set(invalid) == {first, second, third}
    for run_id, run in invalid.items():
        verified = (await people.viewer.get(f"/execution-trace/{run_id}/verify")).json()
        assert not verified["valid"]
        assert (run["first_bad_seq"], run["reason"]) == (
            verified["first_bad_seq"],
            verified["reason"],
        )
    assert report["decisions"]["unreadable"] == 1
    assert any("could not be read" in note for note in report["notes"])
    content = (await made(people.operator, format="pdf", **world.period)).content
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
    assert "were changed. Its figures cannot be relied on" in re.sub(r"\s+", " ", pages[0])
    text = re.sub(r"\s+", " ", " ".join(pages))
    assert "in the period were recomputed: valid 1, not valid 3." in text
    assert first in text
    assert fourth not in text


async def test_an_event_that_was_changed(people: People, working: Muster, world: World) -> None:
    await tamper(
        working,
        update(EventRecord)
        .where(EventRecord.chain == people.project_id, EventRecord.seq == 5)
        .values(actor_name="Somebody else"),
    )
    integrity = (await told(people, world))["integrity"]
    verified = (await people.viewer.get("/audit/verify")).json()
    assert not verified["valid"]
    events = integrity["events"]
    assert (events["valid"], events["first_bad_seq"], events["problem"]) == (False, 5, "changed")
    assert events["reason"] == verified["reason"]
    content = (await made(people.operator, format="pdf", **world.period)).content
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    assert "NOT VALID" in text


async def test_an_event_of_another_shape(people: People, working: Muster, world: World) -> None:
    await tamper(
        working,
        update(EventRecord)
        .where(EventRecord.chain == people.project_id, EventRecord.type == "agent.created")
        .values(data=["not", "an", "object"]),
    )
    report = await told(people, world)
    assert not report["integrity"]["events"]["valid"]
    details = [row["detail"] for row in report["changes"]["rows"] if row["type"] == "agent.created"]
    assert details == ["content: unreadable"] * 4


async def test_a_log_that_was_cut_off(people: People, working: Muster, world: World) -> None:
    await told(people, world)
    await tamper(
        working,
        delete(EventRecord).where(EventRecord.chain == people.project_id, EventRecord.seq > 20),
    )
    integrity = (await told(people, world))["integrity"]
    assert not integrity["events"]["valid"]
    # What was signed before is still there, and says how much is missing.
    assert integrity["checkpoint"]["size"] > 20
    assert integrity["checkpoint_problem"]
    content = (await made(people.operator, format="pdf", **world.period)).content
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    assert "No newer one can be made" in text


async def test_a_log_without_events(people: People, working: Muster, world: World) -> None:
    await told(people, world)
    found, problem = await working.report_parts.checks.checkpoint(people.project_id)
    assert found is not None
    assert problem is None
    empty = await working.report_parts.checks.checkpoint("no-such-project")
    assert empty == (None, "No event was ever recorded in this chain")


async def test_payloads_that_are_lost(people: People, working: Muster, world: World) -> None:
    big = [call("m1", world.begin.replace(microsecond=0), output={"text": "x" * 2_000_000})]
    run_id = await add_steps(working, people.project_id, big, created_at=world.begin)
    assert (await told(people, world))["integrity"]["runs_invalid"] == 0
    async with working.database.read() as session:
        row = await session.get_one(Step, (run_id, 1))
    assert row.output is not None
    digest = msgspec.json.decode(row.output)["$blob"]["sha256"]
    await working.report_parts.payloads.delete(digest)
    (invalid,) = (await told(people, world))["integrity"]["invalid"]
    assert (invalid["run_id"], invalid["first_bad_seq"]) == (run_id, 1)
    assert "payload" in invalid["reason"]


async def test_what_the_platform_never_writes(
    people: People, working: Muster, world: World
) -> None:
    """Decisions and providers of other shapes are told as such; nothing fails."""
    at = world.begin
    strange: list[NewStep] = [
        call("m1", at, decision={"action": "maybe"}),
        call("m2", at, decision={"action": "warn", "findings": [{"check": "policy"}]}),
        call("m3", at, properties=None),
        call("m4", at, decision=None),
    ]
    run_id = await add_steps(working, people.project_id, strange, created_at=at)
    await tamper(
        working,
        update(Step).where(Step.run_id == run_id, Step.seq == 4).values(properties="not JSON"),
    )
    report = await told(people, world)
    assert report["decisions"]["unreadable"] == 2
    providers = {row["name"]: row["calls"] for row in report["costs"]["by_provider"]}
    assert providers["unknown"] == 2
    assert report["integrity"]["invalid"][0]["run_id"] == run_id


async def test_numbers_that_are_none(
    people: People, working: Muster, world: World, database_kind: str
) -> None:
    if database_kind != "sqlite":
        pytest.skip("PostgreSQL holds no text in a column of numbers")
    first, second, *_ = await run_ids(people)
    async with working.database.connect() as connection:
        await connection.exec_driver_sql(
            "UPDATE steps SET cost = 'much' WHERE run_id = ? AND seq = 1", (first,)
        )
        await connection.exec_driver_sql(
            "UPDATE runs SET snapshot = 'no JSON' WHERE id = ?", (second,)
        )
    report = await told(people, world)
    assert report["activity"]["unreadable_steps"] == 1
    invalid = {run["run_id"]: run["reason"] for run in report["integrity"]["invalid"]}
    assert set(invalid) == {first, second}
    assert invalid[second] == "the run or one of its steps cannot be read"


async def test_runs_that_were_removed(people: People, working: Muster, world: World) -> None:
    body = {"name": "Short", "llm": "builtin/extractive"}
    agent = (await people.editor.post("/agents", json=body)).json()["id"]
    body = {"agent_id": agent, "inputs": {"prompt": "Say hello."}}
    run_id = (await people.operator.post("/executions", json=body)).json()["execution_id"]
    await until_ended(people.viewer, run_id)
    assert (await told(people, world))["integrity"]["runs_invalid"] == 0
    await tamper(working, delete(Run).where(Run.id == run_id))
    integrity = (await told(people, world))["integrity"]
    assert integrity["events"]["valid"]
    assert (integrity["runs"], integrity["runs_valid"], integrity["runs_invalid"]) == (5, 4, 1)
    (missing,) = integrity["invalid"]
    assert missing["run_id"] == run_id
    assert "removed" in missing["reason"]
    of_one = await made(people.operator, format="json", agent_ids=[agent], **world.period)
    assert of_one.json()["integrity"]["runs"] == 0


async def test_a_run_that_is_removed_meanwhile(
    people: People, working: Muster, world: World
) -> None:
    async with snapshot(working.database) as session:
        found, steps = await _verify(session, "gone", working.report_parts.payloads)
    assert (found.run_id if found else None, steps) == ("gone", 0)
    assert found is not None
    assert "removed" in found.reason
