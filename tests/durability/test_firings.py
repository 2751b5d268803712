"""Firings whose process is killed before they were settled: taken up at once, started once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from muster.domains.work.triggers.models import Firing
from tests.durability.halting import When, halted
from tests.durability.servers import prompt
from tests.durability.workers import PATIENCE_S, until
from tests.durability.world import Started, World
from tests.platform.recorded import recorded
from tests.support.model_scripts import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.durability]


async def fired(world: World, when: When) -> tuple[str, Started]:
    """Let a trigger fire; returns it, and the run that is to come."""
    world.model.plans["told"] = lambda name: [Reply(text=f"{name} is done.")]
    agent = await world.agent()
    body = {
        "name": f"It halts {when}",
        "type": "cron",
        "config": {"cron": "0 0 1 1 *"},
        "action": {"agent": agent["id"], "inputs": {"prompt": prompt("told", "it")}},
    }
    made = await world.people.editor.post("/triggers", json=body)
    assert made.status_code == 201, made.text
    trigger_id = made.json()["id"]
    answer = await world.people.operator.post(f"/triggers/{trigger_id}/fire")
    assert answer.status_code == 202, answer.text
    async with world.control.database.read() as session:
        run_id = await session.scalar(select(Firing.run_id).where(Firing.trigger_id == trigger_id))
    return trigger_id, Started(str(run_id), "it")


async def firing_of(world: World, trigger_id: str) -> dict[str, Any]:
    answer = await world.people.viewer.get(f"/triggers/{trigger_id}/history")
    (found,) = answer.json()["items"]
    return found


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("comes", ["a restart", "another"])
async def test_a_killed_process_holds_up_no_firing(
    world: World, tmp_path: Path, when: When, comes: str
) -> None:
    folder = tmp_path / "halts"
    folder.mkdir()
    trigger_id, run = await fired(world, when)
    environment = {"MUSTER_TEST_HALTS": str(folder)}
    first = await world.workers.start(**environment)
    await until(lambda: halted(folder, run.id))
    shown = await firing_of(world, trigger_id)
    assert (shown["status"], shown["attempts"], shown["fired_at"]) == ("pending", 1, None)
    if comes == "another":
        await world.workers.start(**environment)
        await world.kill(first, run)
    else:
        await world.kill(first, run)
        await world.workers.start(**environment)
    # A firing that nobody knows to be without a process is left alone for longer.
    async with asyncio.timeout(PATIENCE_S):
        while (shown := await firing_of(world, trigger_id))["status"] != "started":
            await asyncio.sleep(0.05)
        await world.until_ended(run)
    assert (shown["attempts"], shown["run_id"]) == (2, run.id)
    assert shown["fired_at"] is not None
    await world.check(run, ["start", "m1", "end"], "it is done.")
    assert len(await recorded(world.control, "trigger.fired", chain=world.people.project_id)) == 1
    runs = (await world.people.viewer.get("/executions")).json()["items"]
    assert [found["id"] for found in runs] == [run.id]
