"""The journal: one chain per run, whoever appends, whatever happens."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from muster.adapters.blobs import LocalBlobStore
from muster.domains.work.journal import (
    Fenced,
    Intent,
    JournalReader,
    JournalWriter,
    NewStep,
    Run,
    StepKind,
    StepStatus,
    load_value,
    verify_run,
)
from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.ids import new_id
from muster.kernel.live import LiveBus

pytestmark = pytest.mark.anyio


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


@pytest.fixture
def writer(database: Database, blobs: LocalBlobStore) -> JournalWriter:
    return JournalWriter(database, LiveBus(database), blobs, blob_threshold=2048)


async def make_run(database: Database, **values: Any) -> str:
    project, run = new_id(), new_id()
    async with database.write() as session:
        from muster.platform.projects import Project

        session.add(Project(id=project, name="p"))
        await session.flush()
        session.add(
            Run(
                id=run,
                project_id=project,
                kind="agent",
                name="r",
                snapshot={},
                inputs={},
                started_by_kind="user",
                started_by_id="u",
                started_by_name="U",
                timeout_s=10,
                **values,
            )
        )
    return run


def step(key: str, **values: Any) -> NewStep:
    fields: dict[str, Any] = {"kind": StepKind.RESOURCE, "name": "tool", "output": {"n": key}}
    return NewStep(key=key, started_at=clock.now(), **{**fields, **values})


async def verify(database: Database, run_id: str, blobs: LocalBlobStore) -> Any:
    async with database.read() as session:
        run = await session.get_one(Run, run_id)
        return await verify_run(session, run, blobs)


async def test_fifty_at_once_give_one_unbroken_chain(
    database: Database, writer: JournalWriter, blobs: LocalBlobStore
) -> None:
    run = await make_run(database)
    appended = await asyncio.gather(*(writer.append(run, 0, [step(f"t{n}.0")]) for n in range(50)))
    assert sorted(seq for a in appended for seq in a.seqs) == list(range(1, 51))
    found = await verify(database, run, blobs)
    assert (found.valid, found.steps) == (True, 50)
    async with database.read() as session:
        stored = await session.get_one(Run, run)
        assert (stored.head_seq, stored.tool_calls) == (50, 50)
        assert stored.head_hash == found.head_hash


async def test_counts_tokens_and_cost(database: Database, writer: JournalWriter) -> None:
    run = await make_run(database)
    priced = step("m1", kind=StepKind.MODEL, input_tokens=10, output_tokens=5, cost=0.25)
    unpriced = step("m2", kind=StepKind.MODEL, input_tokens=1, cached_tokens=1, reasoning_tokens=2)
    await writer.append(run, 0, [priced, unpriced])
    async with database.read() as session:
        stored = await session.get_one(Run, run)
        assert (stored.model_calls, stored.unpriced_calls, stored.cost) == (2, 1, 0.25)
        assert (stored.input_tokens, stored.output_tokens) == (11, 5)
        assert (stored.cached_tokens, stored.reasoning_tokens) == (1, 2)


async def test_a_stale_process_cannot_append(database: Database, writer: JournalWriter) -> None:
    run = await make_run(database, fence=3)
    with pytest.raises(Fenced):
        await writer.append(run, 2, [step("t1.0")])
    with pytest.raises(Fenced):
        await writer.append(new_id(), 0, [step("t1.0")])
    assert (await writer.append(run, 3, [step("t1.0")])).seqs == [1]


async def test_an_ended_run_takes_only_what_was_broken_off(
    database: Database, writer: JournalWriter
) -> None:
    run = await make_run(database, status="cancelled")
    with pytest.raises(Fenced):
        await writer.append(run, 0, [step("t1.0")])
    await writer.append(run, 0, [step("t1.0", status=StepStatus.CANCELLED)])


async def test_a_key_is_used_once_and_a_bad_append_harms_no_other(
    database: Database, writer: JournalWriter, blobs: LocalBlobStore
) -> None:
    first, second = await make_run(database), await make_run(database)
    await writer.append(first, 0, [step("t1.0")])
    outcomes = await asyncio.gather(
        writer.append(first, 0, [step("t1.0")]),
        writer.append(second, 0, [step("t1.0")]),
        writer.append(second, 0, [step("t2.0")]),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], Exception)
    assert not any(isinstance(outcome, Exception) for outcome in outcomes[1:])
    assert (await verify(database, second, blobs)).valid
    assert (await verify(database, first, blobs)).steps == 1


async def test_long_payloads_go_to_the_blob_store(
    database: Database, writer: JournalWriter, blobs: LocalBlobStore
) -> None:
    run = await make_run(database)
    long = {"text": "x" * 5000, "big": 2**60}
    await writer.append(run, 0, [step("t1.0", input=long, output={"short": True})])
    async with database.read() as session:
        (row,) = await JournalReader(session).steps(run)
    assert len(row.input) < 1000
    assert await load_value(row.input, blobs) == {"text": "x" * 5000, "big": str(2**60)}
    assert await load_value(row.output, blobs) == {"short": True}
    assert (await verify(database, run, blobs)).valid


async def test_an_intent_lasts_until_its_step_is_settled(
    database: Database, writer: JournalWriter
) -> None:
    run = await make_run(database)
    await writer.intend(run, 0, key="t1.0", name="pay", arguments="a" * 64)

    async def open_intents() -> list[str]:
        async with database.read() as session:
            return list(await session.scalars(select(Intent.key).where(Intent.run_id == run)))

    assert await open_intents() == ["t1.0"]
    await writer.append(run, 0, [step("t1.0")])
    assert await open_intents() == []


async def test_nothing_begins_to_act_in_a_run_that_has_ended(
    database: Database, writer: JournalWriter
) -> None:
    run = await make_run(database, status="cancelled")
    with pytest.raises(Fenced):
        await writer.intend(run, 0, key="t1.0", name="pay", arguments="a" * 64)
    await writer.append(run, 0, [step("t1.0", status=StepStatus.CANCELLED)])
    async with database.read() as session:
        assert (await session.scalars(select(Intent.key))).all() == []


TAMPERINGS = {
    "a field of the step was changed": ("UPDATE steps SET output = '0' WHERE seq = 2"),
    "a step is missing or out of order": "DELETE FROM steps WHERE seq = 2",
    "the end of the journal is missing": "DELETE FROM steps WHERE seq = 3",
    "the step does not follow the one before it": (
        "UPDATE steps SET previous_hash = hash WHERE seq = 2"
    ),
}


@pytest.mark.parametrize("reason", TAMPERINGS)
async def test_tampering_is_found_and_placed(
    database: Database, writer: JournalWriter, blobs: LocalBlobStore, reason: str
) -> None:
    run = await make_run(database)
    await writer.append(run, 0, [step("t1.0"), step("t2.0"), step("t3.0")])
    async with database.write() as session:
        await session.execute(text(TAMPERINGS[reason]))
    found = await verify(database, run, blobs)
    assert (found.valid, found.reason) == (False, reason)
    assert found.first_bad_seq == (3 if "end" in reason else 2)


async def test_a_changed_blob_is_found(
    database: Database, writer: JournalWriter, blobs: LocalBlobStore, tmp_path: Path
) -> None:
    run = await make_run(database)
    await writer.append(run, 0, [step("t1.0", output="y" * 5000)])
    (blob,) = [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()]
    content = blob.read_bytes()
    blob.write_bytes(content.replace(b"y", b"z", 1))
    assert (await verify(database, run, blobs)).reason == (
        "a stored payload of the step was changed or lost"
    )
    blob.unlink()
    assert not (await verify(database, run, blobs)).valid


async def test_tells_followers_and_whether_to_stop(
    database: Database, blobs: LocalBlobStore
) -> None:
    live = LiveBus(database)
    writer = JournalWriter(database, live, blobs, blob_threshold=2048)
    run = await make_run(database, stop_requested="graceful")
    async with live.subscribe(f"run:{run}") as subscription:
        assert (await writer.append(run, 0, [step("t1.0")])).stop_requested
        assert await subscription.get(1) == {"type": "step", "seq": 1}
