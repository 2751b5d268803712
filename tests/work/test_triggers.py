"""Triggers: made, changed, deleted, fired by hand, and who may do so."""

import asyncio
from typing import Any

import pytest

from muster.domains.work.triggers.models import Firing
from muster.entrypoints.assembly import Muster
from muster.kernel.errors import NotFound, Unavailable
from tests.support.people import People
from tests.work.external_setting import code
from tests.work.trigger_setting import (
    Process,
    Time,
    agent,
    count,
    history,
    people,
    process,
    runs_of,
    time,
    told,
    trigger,
)

__all__ = ["people", "process", "time"]

pytestmark = pytest.mark.anyio

EVERY_DAY = {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}


async def test_a_trigger_is_made_read_changed_and_deleted(people: People) -> None:
    made = await trigger(people.editor, "cron", config=EVERY_DAY, description="Each morning")
    assert made["config"] == {
        **EVERY_DAY,
        "overlap": "allow",
        "misfire": "fire_once",
        "misfire_grace_s": 60,
    }
    assert made["next_run_at"]
    assert made["enabled"] is True
    assert made["secret"] is None
    assert made["owner_name"] == "Editor"
    path = f"/triggers/{made['id']}"
    shown = {name: value for name, value in made.items() if name != "secret"}
    assert (await people.viewer.get(path)).json() == shown
    assert (await people.viewer.get("/triggers")).json()["items"] == [shown]

    for method in ("put", "patch"):
        change = getattr(people.owner, method)
        answer = await change(path, json={"config": {"cron": f"{len(method)} 9 * * *"}})
        assert answer.status_code == 200, answer.text
        assert answer.json()["config"]["timezone"] == "Europe/Berlin"
        assert answer.json()["owner_name"] == "Owner"
        assert answer.json()["action"] == made["action"]
    assert (await people.editor.delete(path)).status_code == 204
    assert (await people.viewer.get(path)).status_code == 404
    wanted = ["trigger.created", "trigger.updated", "trigger.updated", "trigger.deleted"]
    assert await told(people.viewer, "trigger.") == wanted


async def test_toggling(people: People) -> None:
    made = await trigger(people.editor, "cron", config=EVERY_DAY)
    path = f"/triggers/{made['id']}/toggle"
    off = (await people.editor.post(path)).json()
    assert (off["enabled"], off["next_run_at"]) == (False, None)
    assert (await people.editor.post(path, json={"enabled": False})).json() == off
    on = (await people.editor.post(path, json={})).json()
    assert (on["enabled"], on["next_run_at"]) == (True, made["next_run_at"])


@pytest.mark.parametrize(
    "action",
    [
        {"agent": "worker"},
        {"agent_id": "worker"},
        {"type": "run_agent", "agent_id": "worker"},
        {"type": "agent", "id": "worker"},
        {"type": "agent", "target": "worker", "prompt": "Go"},
    ],
)
async def test_spellings_of_an_action(people: People, action: dict[str, Any]) -> None:
    made = await trigger(people.editor, "cron", config=EVERY_DAY, action=action)
    assert (made["action"]["type"], made["action"]["agent"]) == ("agent", "worker")
    assert made["action"]["inputs"] == ({"prompt": "Go"} if "prompt" in action else None)


@pytest.mark.parametrize("kind", ["task", "crew", "workflow"])
async def test_other_things_to_start(people: People, kind: str) -> None:
    for action in ({kind: "a"}, {f"{kind}_id": "a"}, {"type": f"run_{kind}", "target": "a"}):
        made = await trigger(people.editor, "cron", config=EVERY_DAY, action=action)
        assert (made["action"]["type"], made["action"][kind]) == (kind, "a")


GOOD = {"agent": "a"}


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"type": "cron", "action": GOOD}, 400, "trigger_invalid"),
        ({"type": "cron", "config": {"cron": "60 * * * *"}}, 400, "invalid_cron_expression"),
        ({"type": "cron", "config": {"cron": "* * * *"}}, 400, "invalid_cron_expression"),
        ({"type": "cron", "config": {"cron": "0 0 31 2 *"}}, 400, "invalid_cron_expression"),
        ({"type": "cron", "config": {"cron": "0 0 29 2 1#1,1#2"}}, 201, None),
        ({"type": "cron", "config": {"cron": "9" * 190 + " * * * *"}}, 400, None),
        ({"type": "cron", "config": {**EVERY_DAY, "timezone": "Mars/A"}}, 400, "trigger_invalid"),
        ({"type": "cron", "config": {**EVERY_DAY, "timezone": "../UTC"}}, 400, "trigger_invalid"),
        ({"type": "cron", "config": {**EVERY_DAY, "events": ["a"]}}, 400, "trigger_invalid"),
        ({"type": "event"}, 400, "trigger_invalid"),
        ({"type": "event", "config": {"events": ["No!"]}}, 400, "trigger_invalid"),
        ({"type": "event", "config": {"events": ["a"], "filter": "event."}}, 422, None),
        ({"type": "event", "config": {"events": ["a"], "filter": "run.id"}}, 400, None),
        ({"type": "webhook", "config": {"secret": "short"}}, 400, "trigger_invalid"),
        ({"type": "webhook", "config": {"verification": "none"}}, 422, None),
        ({"type": "nothing"}, 422, None),
        ({"type": "cron", "config": EVERY_DAY, "action": {}}, 400, "trigger_invalid"),
        ({"type": "cron", "config": EVERY_DAY, "action": {**GOOD, "crew": "b"}}, 400, None),
        ({"type": "cron", "config": EVERY_DAY, "action": {**GOOD, "type": "crew"}}, 400, None),
        ({"type": "cron", "config": EVERY_DAY, "action": {"type": "mail", "id": "a"}}, 400, None),
        (
            {
                "type": "cron",
                "config": EVERY_DAY,
                "action": {"type": "agent", "definition": {"role": "R"}},
            },
            400,
            "trigger_invalid",
        ),
        (
            {"type": "cron", "config": EVERY_DAY, "action": {"crew": "c", "definition": {"a": 1}}},
            400,
            "trigger_invalid",
        ),
        (
            {"type": "cron", "config": EVERY_DAY, "action": {**GOOD, "prompt": "{{ secrets.a }}"}},
            400,
            "trigger_invalid",
        ),
        (
            {"type": "cron", "config": EVERY_DAY, "action": {**GOOD, "prompt": "{{ now. }}"}},
            400,
            "trigger_invalid",
        ),
    ],
)
async def test_what_cannot_be_a_trigger(
    people: People, body: dict[str, Any], status: int, error: str | None
) -> None:
    answer = await people.editor.post("/triggers", json={"name": "T", "action": GOOD, **body})
    assert answer.status_code == status, answer.text
    if error:
        assert code(answer) == (status, error)


async def test_the_type_stays(people: People) -> None:
    made = await trigger(people.editor, "cron", config=EVERY_DAY)
    path = f"/triggers/{made['id']}"
    assert (await people.editor.put(path, json={"type": "cron"})).status_code == 200
    assert (await people.editor.put(path, json={"type": "event"})).status_code == 400
    answer = await people.editor.put(path, json={"config": {"cron": "nonsense"}})
    assert code(answer) == (400, "invalid_cron_expression")
    assert answer.json()["message"].startswith("Invalid cron expression: ")


async def test_filters_of_the_list(people: People) -> None:
    await trigger(people.editor, "cron", config=EVERY_DAY, name="One", action=GOOD)
    await trigger(people.editor, "webhook", name="Two", enabled=False, action=GOOD)

    async def names(**params: Any) -> list[str]:
        answer = await people.viewer.get("/triggers", params=params)
        return [item["name"] for item in answer.json()["items"]]

    assert await names() == ["Two", "One"]
    assert await names(type="cron") == ["One"]
    assert await names(enabled=False) == ["Two"]
    assert await names(search="tw") == ["Two"]
    assert (await people.viewer.get("/triggers", params={"type": "x"})).status_code == 422


async def test_who_may(people: People) -> None:
    made = await trigger(people.editor, "cron", config=EVERY_DAY)
    path = f"/triggers/{made['id']}"
    body = {"name": "T", "type": "cron", "config": EVERY_DAY, "action": GOOD}
    assert (await people.operator.post("/triggers", json=body)).status_code == 403
    assert (await people.operator.delete(path)).status_code == 403
    assert (await people.operator.post(f"{path}/toggle")).status_code == 403
    assert (await people.viewer.post(f"{path}/fire")).status_code == 403
    assert (await people.operator.post(f"{path}/fire")).status_code == 202
    for method, suffix in (
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "/fire"),
        ("POST", "/toggle"),
        ("GET", "/history"),
        ("GET", "/next"),
        ("POST", "/rotate-secret"),
    ):
        given: dict[str, Any] = {"json": {}} if method in {"PUT", "POST"} else {}
        answer = await people.outsider.request(method, path + suffix, **given)
        assert answer.status_code == 404, (method, suffix)
    assert (await people.outsider.get("/triggers")).json()["items"] == []


async def test_a_key_that_may_not_start_runs_makes_no_triggers(
    people: People, connect: Any
) -> None:
    body = {"name": "K", "kind": "user", "scopes": ["triggers:read", "triggers:write"]}
    answer = await people.editor.post("/security/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    client = connect(Authorization=f"Bearer {answer.json()['key']}")
    body = {"name": "T", "type": "cron", "config": EVERY_DAY, "action": GOOD}
    refused = await client.post("/triggers", json=body)
    assert code(refused) == (403, "trigger_not_allowed")


async def test_firing_by_hand(muster: Muster, people: People, process: Process) -> None:
    made = await trigger(
        people.editor,
        "cron",
        config=EVERY_DAY,
        enabled=False,
        starting={"inputs": {"prompt": "{{ trigger.name }} at {{ now }}", "api_key": "hidden"}},
    )
    path = f"/triggers/{made['id']}/fire"
    first = (await people.operator.post(path)).json()
    assert (first["status"], first["run_id"], first["source"]) == ("pending", None, "manual")
    await people.operator.post(path, json={"inputs": {"prompt": "By hand"}})
    await process.settle()
    runs = await runs_of(muster, people.project_id)
    assert [run.started_by_name for run in runs] == ["Operator", "Operator"]
    assert [run.origin for run in runs] == ["trigger", "trigger"]
    prompts = sorted(run.inputs["prompt"] for run in runs)
    assert prompts[0] == "By hand"
    assert prompts[1].startswith("Trigger at 2")
    shown = await history(people.viewer, made)
    assert {item["status"] for item in shown} == {"started"}
    assert {item["run_id"] for item in shown} == {run.id for run in runs}
    assert {item["run_status"] for item in shown} == {"pending"}
    assert all(item["fired_at"] for item in shown)
    assert "hidden" not in str(shown)
    assert await told(people.viewer, "trigger.fired") == ["trigger.fired"] * 2
    assert (await people.viewer.get(f"/triggers/{made['id']}")).json()["last_run_at"]


async def test_inputs_that_cannot_be_made(people: People, process: Process) -> None:
    for wrong in ("{{ 1 / 0 }}", "{{ event.data.id }}", '{{ "a\\x00b" }}'):
        action = {"agent": "a", "inputs": {"prompt": wrong}}
        made = await trigger(people.editor, "cron", config=EVERY_DAY, action=action)
        answer = await people.editor.post(f"/triggers/{made['id']}/fire")
        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == "failed", wrong
        assert answer.json()["reason"].startswith("The inputs cannot be made")
    assert await process.clock.once() == 0
    assert await told(people.viewer, "trigger.failed") == ["trigger.failed"] * 3


async def test_what_cannot_be_started_is_told(people: People, process: Process) -> None:
    made = await trigger(people.editor, "cron", config=EVERY_DAY, action={"agent": "nobody"})
    await people.editor.post(f"/triggers/{made['id']}/fire")
    await process.settle()
    (shown,) = await history(people.viewer, made, status="failed")
    assert "agent" in shown["reason"]
    assert shown["run_id"] is None
    assert await told(people.viewer, "trigger.failed") == ["trigger.failed"]


async def test_a_start_is_tried_again(people: People, process: Process, time: Time) -> None:
    made = await trigger(people.editor, "webhook")  # it fires at no time of its own
    await people.editor.post(f"/triggers/{made['id']}/fire")
    process.launcher.errors = [Unavailable(), OSError(), RuntimeError()]
    for tries in range(1, 4):
        assert await process.clock.once() == 1
        assert await process.clock.once() == 0, "not before its time"
        (shown,) = await history(people.viewer, made)
        assert (shown["status"], shown["attempts"]) == ("pending", tries)
        time.forward(seconds=60)
    await process.settle()
    (shown,) = await history(people.viewer, made)
    assert (shown["status"], shown["attempts"]) == ("started", 4)

    await people.editor.post(f"/triggers/{made['id']}/fire")
    process.launcher.errors = [Unavailable() for _ in range(8)]
    for _ in range(8):
        await process.clock.once()
        time.forward(hours=1)
    (shown, _) = await history(people.viewer, made)
    assert (shown["status"], shown["attempts"]) == ("failed", 8)


async def test_whoever_left_starts_nothing(
    muster: Muster, people: People, process: Process
) -> None:
    made = await trigger(people.editor, "webhook")
    editor = made["owner_id"]
    path = f"/projects/{people.project_id}/members/{editor}"
    fired = await people.editor.post(f"/triggers/{made['id']}/fire")
    assert fired.status_code == 202
    answer = await people.owner.delete(path)
    assert answer.status_code == 204, answer.text
    await process.settle()
    (shown,) = await history(people.viewer, made)
    assert shown["status"] == "failed"
    assert "save the trigger again" in shown["reason"]
    assert await runs_of(muster, people.project_id) == []


async def test_a_firing_of_a_deleted_trigger(
    muster: Muster, people: People, process: Process
) -> None:
    made = await trigger(people.editor, "cron", config=EVERY_DAY)
    await people.editor.post(f"/triggers/{made['id']}/fire")
    await people.editor.delete(f"/triggers/{made['id']}")
    assert await process.clock.once() == 0
    assert await count(muster, Firing) == 0
    process.launcher.errors = [NotFound()]


async def test_next_times(people: People) -> None:
    made = await trigger(people.editor, "cron", config=EVERY_DAY)
    path = f"/triggers/{made['id']}/next"
    shown = (await people.viewer.get(path, params={"count": 3})).json()
    assert len(shown["times"]) == 3
    assert shown["times"][0] == made["next_run_at"]
    assert all("T09:00:00+0" in text for text in shown["local_times"])
    assert (await people.viewer.get(path, params={"count": 101})).status_code == 422
    other = await trigger(people.editor, "webhook", action=GOOD)
    assert (await people.viewer.get(f"/triggers/{other['id']}/next")).json()["times"] == []


async def test_the_agent_is_told_what_it_needs(people: People) -> None:
    worker = await agent(people.editor)
    made = await trigger(people.editor, "cron", config=EVERY_DAY, action={"agent": worker["key"]})
    assert made["action"]["agent"] == worker["key"]


async def failed_firing(people: People, process: Process, **body: Any) -> tuple[Any, str]:
    """Let a trigger fire that cannot start anything; returns it and the path of the firing."""
    given = {"config": EVERY_DAY, "action": {"agent": "Late", "inputs": {"prompt": "{{ now }}"}}}
    made = await trigger(people.editor, "cron", **{**given, **body})
    await people.editor.post(f"/triggers/{made['id']}/fire")
    await process.settle()
    (firing,) = await history(people.viewer, made, status="failed")
    return made, f"/triggers/{made['id']}/history/{firing['id']}"


async def test_a_firing_that_failed_is_retried(
    muster: Muster, people: People, process: Process
) -> None:
    made, path = await failed_firing(people, process)
    before = (await people.viewer.get(path)).json()
    assert before["status"] == "failed"
    await agent(people.editor, "Late")
    again = await people.operator.post(f"{path}/retry")
    assert again.status_code == 202, again.text
    assert (again.json()["status"], again.json()["reason"]) == ("pending", None)
    assert code(await people.operator.post(f"{path}/retry")) == (409, "firing_not_retryable")
    await process.settle()
    (run,) = await runs_of(muster, people.project_id)
    after = (await people.viewer.get(path)).json()
    assert (after["status"], after["run_id"], after["run_status"]) == ("started", run.id, "pending")
    assert (run.inputs, run.started_by_name) == (before["inputs"], "Operator")
    refused = await people.operator.post(f"{path}/retry")
    assert code(refused) == (409, "firing_not_retryable")
    assert run.id in refused.json()["message"]
    wanted = ["trigger.created", "trigger.failed", "trigger.retried", "trigger.fired"]
    assert await told(people.viewer, "trigger.") == wanted
    assert len(await history(people.viewer, made)) == 1


async def test_a_retry_that_fails_again_and_other_inputs(
    muster: Muster, people: People, process: Process
) -> None:
    _, path = await failed_firing(people, process)
    assert (await people.operator.post(f"{path}/retry")).status_code == 202
    await process.settle()
    assert (await people.viewer.get(path)).json()["status"] == "failed"
    await agent(people.editor, "Late")
    body = {"inputs": {"prompt": "Now"}}
    assert (await people.operator.post(f"{path}/retry", json=body)).status_code == 202
    await process.settle()
    assert [run.inputs for run in await runs_of(muster, people.project_id)] == [body["inputs"]]


async def test_a_retry_of_a_firing_without_inputs(
    muster: Muster, people: People, process: Process
) -> None:
    worker = await agent(people.editor)
    action = {"agent": worker["id"], "inputs": {"prompt": "{{ 1 / 0 }}"}}
    _, path = await failed_firing(people, process, action=action)
    assert code(await people.operator.post(f"{path}/retry")) == (409, "firing_not_retryable")
    body = {"inputs": {"prompt": "Go"}}
    assert (await people.operator.post(f"{path}/retry", json=body)).status_code == 202
    await process.settle()
    assert [run.inputs for run in await runs_of(muster, people.project_id)] == [body["inputs"]]


async def test_two_retries_at_once_start_once(
    muster: Muster, people: People, process: Process
) -> None:
    _, path = await failed_firing(people, process)
    await agent(people.editor, "Late")
    answers = await asyncio.gather(*[people.operator.post(f"{path}/retry") for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    await process.settle()
    assert len(await runs_of(muster, people.project_id)) == 1


async def test_who_may_retry_a_firing(people: People, process: Process, time: Time) -> None:
    made, path = await failed_firing(people, process)
    assert (await people.viewer.post(f"{path}/retry")).status_code == 403
    other = f"/triggers/{(await trigger(people.editor, 'webhook', action=GOOD))['id']}"
    for client, wrong in (
        (people.outsider, path),
        (people.owner, f"/triggers/{made['id']}/history/{made['id']}"),
        (people.owner, other + path.removeprefix(f"/triggers/{made['id']}")),
    ):
        assert (await client.get(wrong)).status_code == 404
        assert (await client.post(f"{wrong}/retry")).status_code == 404


async def test_firings_of_a_disabled_trigger_are_not_retried(
    people: People, process: Process, time: Time
) -> None:
    config = {"cron": "* * * * *"}
    made = await trigger(people.editor, "cron", config=config, action={"agent": "Late"})
    time.forward(minutes=2)
    await process.settle()
    (firing, *_) = await history(people.viewer, made, status="failed")
    await people.editor.post(f"/triggers/{made['id']}/toggle")
    path = f"/triggers/{made['id']}/history/{firing['id']}/retry"
    refused = await people.operator.post(path)
    assert code(refused) == (409, "firing_not_retryable")
    assert "enable it" in refused.json()["message"]
