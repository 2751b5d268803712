"""Dead letters: runs that failed for good, with their whole context, and starting them again."""

import asyncio
from typing import Any

import pytest

from muster.domains.work.dead_letters import DeadLetter, bury
from muster.domains.work.journal import Run
from muster.entrypoints.assembly import Muster
from muster.platform.access import Caller
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, start, until
from tests.work.external_setting import code

pytestmark = pytest.mark.anyio

PATH = "/dead-letter"


async def failed(people: People, **body: Any) -> tuple[dict[str, Any], str]:
    """Let a run fail."""
    agent = await make_agent(people.editor, **body)
    run_id = await start(people.editor, agent)
    await until(people.editor, run_id, "failed")
    return agent, run_id


@pytest.fixture(autouse=True)
def failing(scripted: ScriptedServer) -> None:
    """Every call of the model is refused."""
    scripted.script = Script(select="call", replies=[Reply(status=401)])


async def letters(people: People, **params: Any) -> list[dict[str, Any]]:
    answer = await people.admin.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_a_failed_run_lies_there_with_its_context(people: People) -> None:
    agent, run_id = await failed(people)
    (letter,) = await letters(people)
    assert (letter["run_id"], letter["task_id"]) == (run_id, run_id)
    assert (letter["status"], letter["source"], letter["attempts"]) == ("waiting", "run", 1)
    assert (letter["kind"], letter["agent_id"]) == ("agent", agent["id"])
    assert letter["inputs"] == {"prompt": "Go"}
    assert letter["error"]["code"]
    assert letter["reason"]
    assert letter["target"]["agent_name"] == "Tester"
    assert letter["steps"]["total"] >= 2
    assert letter["steps"]["last"][-1]["error"]
    assert (await people.admin.get(f"{PATH}/{letter['id']}")).json() == letter
    told = (await people.viewer.get("/events", params={"type": "dead_letter.*"})).json()["items"]
    assert [event["type"] for event in told] == ["dead_letter.added"]


async def test_retrying_one(people: People) -> None:
    _, run_id = await failed(people)
    (letter,) = await letters(people)
    answer = await people.admin.post(f"{PATH}/{letter['id']}/retry")
    assert answer.status_code == 200, answer.text
    again = answer.json()
    assert again["status"] == "retried"
    assert again["run_id"] == run_id
    assert again["retry_run_id"] == again["execution_id"] != run_id
    second = await people.admin.post(f"{PATH}/{letter['id']}/retry")
    assert code(second) == (409, "dead_letter_retried")
    # It fails again, and lies there with one more attempt.
    await until(people.editor, again["retry_run_id"], "failed")
    (waiting,) = await letters(people, status="waiting")
    assert (waiting["run_id"], waiting["attempts"]) == (again["retry_run_id"], 2)
    (retried,) = await letters(people, status="retried")
    assert retried["retried_at"]


async def test_two_who_retry_at_once(people: People) -> None:
    await failed(people)
    (letter,) = await letters(people)
    path = f"{PATH}/{letter['id']}/retry"
    answers = await asyncio.gather(people.admin.post(path), people.superadmin.post(path))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_retrying_all(people: People) -> None:
    agent, _ = await failed(people)
    for _ in range(3):
        run_id = await start(people.editor, agent)
        await until(people.editor, run_id, "failed")
    other, _ = await failed(people, name="Other")
    some = await people.admin.post(f"{PATH}/retry-all", json={"agent_id": agent["id"], "limit": 3})
    assert some.status_code == 200, some.text
    shown = some.json()
    assert (shown["retried"], shown["failed"], shown["problems"]) == (3, 0, [])
    assert shown["remaining"] >= 1
    assert len(await letters(people, status="retried", agent_id=agent["id"])) == 3
    assert await letters(people, status="retried", agent_id=other["id"]) == []
    assert (await people.admin.post(f"{PATH}/retry-all")).json()["retried"] >= 2


async def test_adding_one_by_hand(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script()
    agent = await make_agent(people.editor)
    run_id = await start(people.editor, agent)
    await until(people.editor, run_id, "completed")
    body = {"task_id": run_id, "reason": "It is wrong"}
    answer = await people.admin.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    letter = answer.json()
    assert (letter["reason"], letter["source"]) == ("It is wrong", "manual")
    assert code(await people.admin.post(PATH, json=body)) == (409, "dead_letter_taken")
    unknown = await people.admin.post(PATH, json={"run_id": "nothing"})
    assert code(unknown) == (404, "run_not_found")
    assert (await people.admin.delete(f"{PATH}/{letter['id']}")).status_code == 204
    assert await letters(people) == []
    assert (await people.admin.delete(f"{PATH}/{letter['id']}")).status_code == 404
    told = (await people.viewer.get("/events", params={"type": "dead_letter.*"})).json()["items"]
    assert [event["type"] for event in told] == ["dead_letter.removed", "dead_letter.added"]


async def test_a_task_is_known_by_its_last_run(people: People) -> None:
    agent = await make_agent(people.editor, llm="builtin/extractive")
    body = {"name": "Sum", "description": "What is 2 + 3?", "agent": agent["key"]}
    task = (await people.editor.post("/tasks", json=body)).json()
    run_id = ""
    for _ in range(2):
        started = await people.editor.post(f"/tasks/{task['id']}/run")
        assert started.status_code == 202, started.text
        run_id = started.json()["execution_id"]
        await until(people.editor, run_id, "completed")
    added = await people.admin.post(PATH, json={"task_id": task["id"]})
    assert added.status_code == 201, added.text
    assert (added.json()["run_id"], added.json()["kind"]) == (run_id, "task")


async def test_what_cannot_lie_there(people: People, working: Muster) -> None:
    _, run_id = await failed(people)
    async with working.database.write() as session:
        run = await session.get_one(Run, run_id)
        run.status = "running"
    (letter,) = await letters(people)
    await people.admin.delete(f"{PATH}/{letter['id']}")
    answer = await people.admin.post(PATH, json={"run_id": run_id})
    assert code(answer) == (409, "dead_letter_refused")
    async with working.database.write() as session:
        run = await session.get_one(Run, run_id)
        run.status, run.kind = "failed", "external"
    answer = await people.admin.post(PATH, json={"run_id": run_id})
    assert code(answer) == (409, "dead_letter_refused")


async def test_burying_again(people: People, working: Muster) -> None:
    """A run that was resumed and failed again waits again, once."""
    _, run_id = await failed(people)
    (letter,) = await letters(people)
    async with working.database.write() as session:
        run = await session.get_one(Run, run_id)
        again = await bury(session, Caller.system(run.project_id), run, reason="Again")
    assert again == letter["id"]
    (found,) = await letters(people)
    assert found["reason"] == "Again"


async def test_a_run_that_was_resumed_waits_again(people: People) -> None:
    _, run_id = await failed(people)
    assert (await people.editor.post(f"/executions/{run_id}/resume")).status_code == 200
    await until(people.editor, run_id, "failed")
    async with asyncio.timeout(10):
        while (await letters(people))[0]["attempts"] < 2:
            await asyncio.sleep(0.05)
    assert len(await letters(people)) == 1


async def test_a_run_that_was_resumed_to_its_end(people: People, scripted: ScriptedServer) -> None:
    _, run_id = await failed(people)
    scripted.script = Script()
    assert (await people.editor.post(f"/executions/{run_id}/resume")).status_code == 200
    await until(people.editor, run_id, "completed")
    (letter,) = await letters(people)
    assert (letter["status"], letter["retry_run_id"]) == ("retried", run_id)
    assert letter["retried_at"]


async def test_stats_and_filters(people: People) -> None:
    empty = (await people.admin.get(f"{PATH}/stats")).json()
    assert (empty["total"], empty["oldest_at"], empty["by_kind"]) == (0, None, {})
    agent, _ = await failed(people)
    stats = (await people.admin.get(f"{PATH}/stats")).json()
    (letter,) = await letters(people)
    assert (stats["total"], stats["waiting"], stats["retried"], stats["last_24h"]) == (1, 1, 0, 1)
    assert stats["by_kind"] == {"agent": 1}
    assert stats["by_error"] == {letter["error"]["code"]: 1}
    assert stats["by_agent"] == {agent["id"]: 1}
    assert stats["oldest_at"] == stats["newest_at"] == letter["failed_at"]
    assert len(await letters(people, kind="agent", agent_id=agent["id"], search="test")) == 1
    for params in ({"kind": "crew"}, {"agent_id": "x"}, {"search": "%"}, {"status": "retried"}):
        assert await letters(people, **params) == []


async def test_who_may(people: People) -> None:
    await failed(people)
    (letter,) = await letters(people)
    for client in (people.viewer, people.editor, people.owner, people.outsider):
        assert (await client.get(PATH)).status_code == 403
        assert (await client.get(f"{PATH}/stats")).status_code == 403
        assert (await client.post(f"{PATH}/{letter['id']}/retry")).status_code == 403
        assert (await client.post(f"{PATH}/retry-all")).status_code == 403


async def test_another_project(people: People, working: Muster) -> None:
    """Admins see the project that they ask about, and only where they are members."""
    await failed(people)
    (letter,) = await letters(people)
    async with working.database.write() as session:
        run = await session.get_one(Run, letter["run_id"])
        run.project_id = people.other_project_id
        await session.flush()
        theirs = await bury(session, Caller.system(run.project_id), run)
        run.project_id = people.project_id
        row = await session.get_one(DeadLetter, theirs)
        row.project_id = people.other_project_id
    assert await letters(people) == []
    for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/retry")):
        answer = await people.admin.request(method, f"{PATH}/{theirs}{suffix}")
        assert code(answer) == (404, "dead_letter_not_found")
    assert (await people.admin.post(f"{PATH}/retry-all")).json()["retried"] == 0
    other = {"X-Project-Id": people.other_project_id}
    assert (await people.admin.get(PATH, headers=other)).status_code == 404
