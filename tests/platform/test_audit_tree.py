"""The tree over the events: how it grows, how it is signed, and who may do both at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import func, select

from muster.entrypoints.assembly import Muster
from muster.entrypoints.running import EngineMode
from muster.kernel.background import in_background
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.kernel.settings import Settings
from muster.platform.access import Caller
from muster.platform.audit import PublicKey, growing, service
from muster.platform.audit.errors import AuditKeyBroken, AuditLogBroken, AuditLogEmpty
from muster.platform.audit.growing import read_tiles
from muster.platform.audit.merkle import root_of
from muster.platform.audit.models import AuditCheckpoint, AuditKey, AuditTile, AuditTree
from muster.platform.audit.service import AuditLog
from muster.platform.audit.tiles import WIDTH, leaf_of
from muster.platform.audit.verifying import checkpoint_of
from muster.platform.events import PLATFORM_CHAIN, EventRecord, record
from tests.platform.audited import fill, tamper
from tests.platform.event_facts import run_created
from tests.platform.recorded import recorded

pytestmark = pytest.mark.anyio

CHAIN = "chain-under-test"


async def expected_root(muster: Muster, size: int) -> str:
    rows = await recorded(muster, chain=CHAIN)
    return root_of([leaf_of(row.hash) for row in rows[:size]]).hex()


async def checkpoints(muster: Muster) -> list[AuditCheckpoint]:
    async with muster.database.read() as session:
        statement = select(AuditCheckpoint).where(AuditCheckpoint.chain == CHAIN)
        return list(await session.scalars(statement.order_by(AuditCheckpoint.size)))


@pytest.mark.parametrize("batch", [3, growing.BATCH])
async def test_a_tree_grows_with_the_log(
    muster: Muster, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "BATCH", batch)
    size = 0
    for more in (1, 5, 0, 6):
        await fill(muster, CHAIN, more)
        size += more
        made = await muster.audit.checkpoint(CHAIN)
        assert (made.size, made.root) == (size, await expected_root(muster, size))

    assert [row.size for row in await checkpoints(muster)] == [1, 6, 12]


async def test_a_tree_grows_over_several_tiles(muster: Muster) -> None:
    await fill(muster, CHAIN, WIDTH - 1)
    await muster.audit.checkpoint(CHAIN)
    for more in (1, 1, 2 * WIDTH + 40):
        await fill(muster, CHAIN, more)
        made = await muster.audit.checkpoint(CHAIN)
        assert made.root == await expected_root(muster, made.size)

    async with muster.database.read() as session:
        statement = select(AuditTile).where(AuditTile.chain == CHAIN)
        tiles = {(t.level, t.position): len(t.hashes) for t in await session.scalars(statement)}
    full = WIDTH * 32
    assert tiles == {(0, 0): full, (0, 1): full, (0, 2): full, (0, 3): 41 * 32, (1, 0): 3 * 32}


async def test_a_checkpoint_is_signed_with_a_key_that_is_made_once(muster: Muster) -> None:
    await fill(muster, CHAIN, 2)

    made = await muster.audit.checkpoint(CHAIN)

    key = (await muster.audit.key()).public
    assert key.verifies(checkpoint_of(made).text, made.signature)
    assert made.key_id == key.id
    [fact] = await recorded(muster, "audit.key_created")
    assert fact.data == {"key_id": key.id, "public_key": key.base64}
    again = AuditLog(muster.database, muster.master_key)
    assert (await again.key()).public == key
    private = (await again.key()).pair.private_bytes_raw()
    assert private == (await muster.audit.key()).pair.private_bytes_raw()
    async with muster.database.read() as session:
        [row] = await session.scalars(select(AuditKey))
    assert private not in row.ciphertext
    assert private not in row.wrapped_key


async def test_another_master_key_has_another_pair(muster: Muster) -> None:
    first = await muster.audit.key()
    other = AuditLog(muster.database, MasterKey(bytes(32)))

    second = await other.key()

    assert second.public.id != first.public.id
    async with muster.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(AuditKey)) == 2
    await fill(muster, CHAIN, 1)
    assert (await other.checkpoint(CHAIN)).key_id == second.public.id
    assert (await muster.audit.checkpoint(CHAIN)).key_id == second.public.id  # nothing is newer


@pytest.mark.parametrize("column", ["public_key", "ciphertext", "wrapped_key"])
async def test_a_key_that_was_changed_is_not_used(muster: Muster, column: str) -> None:
    await muster.audit.key()
    await tamper(muster, f"UPDATE audit_keys SET {column} = :value", value=bytes(32))

    with pytest.raises(AuditKeyBroken, match="was changed"):
        await AuditLog(muster.database, muster.master_key).key()


async def test_an_empty_log_is_not_signed(muster: Muster) -> None:
    with pytest.raises(AuditLogEmpty):
        await muster.audit.checkpoint(CHAIN)
    assert await checkpoints(muster) == []


async def test_many_checkpoints_at_once_from_two_databases(
    muster: Muster, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "BATCH", 7)
    await fill(muster, CHAIN, 40)
    other = Database(database_url, pool_size=3)
    logs = [muster.audit, AuditLog(other, muster.master_key), AuditLog(other, muster.master_key)]

    async def write() -> None:
        for _ in range(10):
            async with other.write() as session:
                record(session, Caller.system(CHAIN), run_created())

    made = await asyncio.gather(*(log.checkpoint(CHAIN) for log in logs * 4), write())
    last = await asyncio.gather(*(log.checkpoint(CHAIN) for log in logs))
    await other.dispose()

    signed = await checkpoints(muster)
    assert {row.id for row in made[:-1] if row} <= {row.id for row in signed}
    assert {row.id for row in last} == {signed[-1].id}
    assert signed[-1].size == 50
    for row in signed:
        assert row.root == await expected_root(muster, row.size)
    assert len({row.key_id for row in signed}) == 1


async def test_reading_tiles_reads_few(muster: Muster) -> None:
    await fill(muster, CHAIN, 3)
    await muster.audit.checkpoint(CHAIN)
    async with muster.database.connect() as connection:
        tiles = await connection.run_sync(read_tiles, CHAIN, {(0, 0), (0, 1), (3, 9)})
    assert {key: len(row) for key, row in tiles.items()} == {(0, 0): 96}


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["DELETE FROM events WHERE chain = :chain AND seq >= 4"], "Event 4 was signed"),
        (["DELETE FROM events WHERE chain = :chain AND seq = 6"], "Event 6 does not follow"),
        (["DELETE FROM events WHERE chain = :chain AND seq = 5"], "Event 5 does not follow"),
        (
            [f"UPDATE events SET hash = '{'a' * 64}' WHERE chain = :chain AND seq = 4"],
            "Event 4 is another",
        ),
        (
            ["UPDATE events SET hash = 'none' WHERE chain = :chain AND seq = 4"],
            "Event 4 is another",
        ),
        (["UPDATE events SET hash = 'none' WHERE chain = :chain AND seq = 5"], "Event 5 does not"),
        (
            [f"UPDATE events SET hash = '{'a' * 64}' WHERE chain = :chain AND seq = 5"],
            "Event 6 does not follow",
        ),
        (["DELETE FROM audit_tiles WHERE chain = :chain"], "Event 4 is another"),
    ],
)
async def test_what_does_not_continue_the_signed_log_is_not_signed(
    muster: Muster, statements: list[str], said: str
) -> None:
    await fill(muster, CHAIN, 4)
    await muster.audit.checkpoint(CHAIN)
    await fill(muster, CHAIN, 3)
    await tamper(muster, *statements, chain=CHAIN)

    with pytest.raises(AuditLogBroken, match=said):
        await muster.audit.checkpoint(CHAIN)
    assert [row.size for row in await checkpoints(muster)] == [4]


async def test_a_tree_of_which_a_part_is_missing_does_not_grow(muster: Muster) -> None:
    await fill(muster, CHAIN, WIDTH + 1)
    await muster.audit.checkpoint(CHAIN)
    await fill(muster, CHAIN, 1)
    await tamper(muster, "DELETE FROM audit_tiles WHERE chain = :chain AND level = 1", chain=CHAIN)

    with pytest.raises(AuditLogBroken, match="part of the tree"):
        await muster.audit.checkpoint(CHAIN)


async def test_checkpoints_are_made_from_time_to_time(
    muster: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHECKPOINT_EVERY_S", 0.02)
    await fill(muster, CHAIN, 3)
    log = AuditLog(muster.database, muster.master_key)
    failures = 0
    real = log.checkpoint_all

    async def fail_first() -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise OSError
        await real()

    monkeypatch.setattr(log, "checkpoint_all", fail_first)

    async def unsigned() -> set[str]:
        async with muster.database.read() as session:
            logs = set(await session.scalars(select(EventRecord.chain)))
            return logs - set(await session.scalars(select(AuditCheckpoint.chain)))

    async with AsyncExitStack() as stack:
        in_background(stack, log.run, "checkpoints")
        async with asyncio.timeout(30):
            while await unsigned():
                await asyncio.sleep(0.02)

    assert failures > 1
    async with muster.database.read() as session:
        assert {CHAIN, PLATFORM_CHAIN} <= set(await session.scalars(select(AuditTree.chain)))


async def test_a_broken_log_does_not_keep_others_from_being_signed(muster: Muster) -> None:
    for chain in ("a-broken-one", CHAIN):
        await fill(muster, chain, 2)
    await tamper(muster, "DELETE FROM events WHERE chain = 'a-broken-one' AND seq = 1")

    await muster.audit.checkpoint_all()

    assert [row.size for row in await checkpoints(muster)] == [2]


@pytest.mark.parametrize("engine", ["off", "submit"])
async def test_only_a_process_with_an_engine_makes_them_by_itself(
    settings: Settings, engine: EngineMode
) -> None:
    async with Muster(settings, engine=engine):
        names = {task.get_name() for task in asyncio.all_tasks()}
    assert ("audit-checkpoints" in names) is (engine == "submit")


def test_a_public_key_is_named_after_itself() -> None:
    assert PublicKey.of(bytes(32)).name.startswith("muster-audit-")
    assert PublicKey.of(bytes(32)).id != PublicKey.of(bytes([1] * 32)).id
