"""What workers fail lies in the dead letters, with its context, and goes from there to a worker."""

import asyncio
from typing import Any

import pytest

from muster.domains.work.workers import WorkerWatch
from muster.entrypoints.assembly import Muster
from tests.platform.recorded import recorded
from tests.support.people import People
from tests.work.external_setting import code
from tests.work.tasks_setting import read
from tests.work.test_workers_runs import run_of, taken
from tests.work.test_workers_tasks import at_work, claim, lapse, offered, queued, report

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
PATH = "/dead-letter"
ERROR = {"code": "no_disk", "message": "No disk left"}


async def letters(people: People, **params: Any) -> list[Json]:
    answer = await people.admin.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def failed(people: People) -> tuple[Json, Json, Json]:
    """Let a worker fail a task; returns both and the letter."""
    worker, task = await taken(people)
    assert (await report(people, worker, task, status="failed", error=ERROR)).status_code == 200
    (letter,) = await letters(people, status="waiting")
    return worker, task, letter


async def retry(people: People, letter: Json) -> Json:
    answer = await people.admin.post(f"{PATH}/{letter['id']}/retry")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_a_worker_fails_lies_there_with_its_context(people: People) -> None:
    worker, task, letter = await failed(people)
    run = await run_of(people, task)
    assert (letter["run_id"], letter["kind"], letter["source"]) == (run["id"], "external", "run")
    assert (letter["error"], letter["reason"]) == (ERROR, "No disk left")
    assert (letter["agent_id"], letter["attempts"]) == (run["agent_id"], 1)
    target = letter["target"]
    assert (target["task_id"], target["worker_id"]) == (task["id"], worker["id"])
    assert [step["kind"] for step in letter["steps"]["last"]] == ["task.start", "task.end"]
    stats = (await people.admin.get(f"{PATH}/stats")).json()
    assert (stats["waiting"], stats["by_error"]) == (1, {"no_disk": 1})


async def test_the_same_report_again_lays_nothing_down(people: People) -> None:
    worker, task, letter = await failed(people)
    await report(people, worker, task, status="failed", error=ERROR)
    assert [found["id"] for found in await letters(people)] == [letter["id"]]


async def test_a_retry_puts_the_task_back_in_the_queue(people: People, muster: Muster) -> None:
    worker, task, letter = await failed(people)
    body = await retry(people, letter)
    assert (body["status"], body["retry_run_id"], body["execution_id"]) == ("retried", None, None)
    assert (await read(people.viewer, task))["status"] == "pending"
    again = await people.admin.post(f"{PATH}/{letter['id']}/retry")
    assert code(again) == (409, "dead_letter_retried")
    assert "queue" in again.json()["detail"]
    await claim(people, worker, task)
    run = await run_of(people, task)
    shown = (await people.admin.get(f"{PATH}/{letter['id']}")).json()
    assert (shown["status"], shown["retry_run_id"]) == ("retried", run["id"])
    assert len(await recorded(muster, "dead_letter.retried", chain=people.project_id)) == 1
    await report(people, worker, task, status="failed", error="Again")
    (second,) = await letters(people, status="waiting")
    assert (second["run_id"], second["attempts"], second["reason"]) == (run["id"], 2, "Again")
    await retry(people, second)
    await claim(people, worker, task)
    await report(people, worker, task, result="done")
    assert await letters(people, status="waiting") == []


async def test_a_task_that_a_person_put_back_waits_no_more(people: People) -> None:
    worker, task, letter = await failed(people)
    await people.editor.patch(f"/tasks/{task['id']}", json={"status": "pending"})
    assert [found["id"] for found in await letters(people, status="waiting")] == [letter["id"]]
    await claim(people, worker, task)
    run = await run_of(people, task)
    (shown,) = await letters(people)
    assert (shown["status"], shown["retry_run_id"]) == ("retried", run["id"])


async def test_many_who_retry_and_claim_at_once(people: People) -> None:
    worker, task, letter = await failed(people)
    answers = await asyncio.gather(
        *(people.admin.post(f"{PATH}/{letter['id']}/retry") for _ in range(3)),
        *(claim(people, worker, task) for _ in range(3)),
        people.admin.post(f"{PATH}/retry-all"),
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    await claim(people, worker, task)
    (shown,) = await letters(people)
    assert (shown["status"], shown["retry_run_id"]) == (
        "retried",
        (await run_of(people, task))["id"],
    )


async def test_a_task_that_is_gone_cannot_be_retried(people: People) -> None:
    _, task, letter = await failed(people)
    assert (await people.editor.delete(f"/tasks/{task['id']}")).status_code == 204
    answer = await people.admin.post(f"{PATH}/{letter['id']}/retry")
    assert code(answer) == (409, "dead_letter_task_gone")
    body = (await people.admin.post(f"{PATH}/retry-all")).json()
    assert (body["retried"], body["failed"], body["remaining"]) == (0, 1, 1)
    assert (await people.admin.delete(f"{PATH}/{letter['id']}")).status_code == 204


async def test_what_a_worker_has_done_is_laid_down_by_hand(people: People) -> None:
    worker, task = await taken(people)
    early = await people.admin.post(PATH, json={"task_id": task["id"]})
    assert code(early) == (409, "dead_letter_refused")
    await report(people, worker, task, result="nonsense")
    added = await people.admin.post(PATH, json={"task_id": task["id"], "reason": "Nonsense"})
    assert (added.status_code, added.json()["source"]) == (201, "manual")
    await retry(people, added.json())
    assert await offered(people, worker) == [task["name"]]


@pytest.mark.parametrize(("fields", "allowed"), [({}, 5), ({"retry_on_fail": 6}, 7)])
async def test_a_task_whose_leases_lapse_for_ever_fails(
    people: People, muster: Muster, fields: Json, allowed: int
) -> None:
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"], **fields)
    for number in range(allowed):
        assert await letters(people) == []
        assert (await claim(people, worker, task)).status_code == 200, number
        await lapse(muster, task)
        assert await WorkerWatch(muster.database).once() == 0
    shown = await read(people.viewer, task)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "lease_lapsed")
    (letter,) = await letters(people)
    assert (letter["attempts"], letter["error"]["code"]) == (allowed, "lease_lapsed")
    await retry(people, letter)
    await claim(people, worker, task)
    await lapse(muster, task)
    await WorkerWatch(muster.database).once()
    assert (await read(people.viewer, task))["status"] == "pending"


async def test_an_end_between_them_lets_lapses_count_anew(people: People, muster: Muster) -> None:
    worker = await at_work(people)
    (task,) = await queued(people, worker["id"])
    for ends in (False, False, True, False, False, False, False):
        await claim(people, worker, task)
        if ends:
            await report(people, worker, task)
            await people.editor.patch(f"/tasks/{task['id']}", json={"status": "pending"})
        else:
            await lapse(muster, task)
            await WorkerWatch(muster.database).once()
    assert (await read(people.viewer, task))["status"] == "pending"


async def test_another_project_sees_none_of_it(people: People) -> None:
    _, _, letter = await failed(people)
    answer = await people.outsider.post(f"{PATH}/{letter['id']}/retry")
    assert answer.status_code in {403, 404}
