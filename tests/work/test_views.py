"""Logs, trace, history and verification: views of one journal."""

import base64
from typing import Any

import pytest
from sqlalchemy import text

from muster.adapters.blobs import LocalBlobStore
from muster.domains.work.journal import JournalWriter, NewStep, Run, StepKind, StepStatus
from muster.domains.work.runs.presenting import as_object, mask
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import make_agent, start, until

pytestmark = pytest.mark.anyio

CALL = {"name": "calculator", "arguments": {"expression": "6*7"}}


async def finished(people: People, scripted: ScriptedServer, **body: Any) -> str:
    scripted.script = Script(
        select="turn", replies=[Reply(tool_calls=[CALL]), Reply(text="It is 42.")]
    )
    run_id = await start(people.operator, await make_agent(people.editor), **body)
    await until(people.viewer, run_id)
    return run_id


async def logs(people: People, run_id: str, **params: Any) -> dict[str, Any]:
    answer = await people.viewer.get(f"/execution-logs/{run_id}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def seqs(page: dict[str, Any]) -> list[int]:
    return [item["seq"] for item in page["items"]]


async def test_pages_of_the_log(people: People, scripted: ScriptedServer) -> None:
    run_id = await finished(people, scripted)
    whole = await logs(people, run_id)
    assert seqs(whole) == [1, 2, 3, 4, 5]
    assert (whole["total"], whole["has_more"], whole["next_cursor"]) == (5, False, None)
    first = await logs(people, run_id, limit=2)
    assert (seqs(first), first["has_more"], first["next_cursor"]) == ([1, 2], True, "2")
    second = await logs(people, run_id, limit=2, cursor=first["next_cursor"], offset=4)
    assert (seqs(second), second["total"], second["offset"]) == ([3, 4], None, 0)
    third = await logs(people, run_id, limit=2, cursor=second["next_cursor"])
    assert (seqs(third), third["has_more"], third["next_cursor"]) == ([5], False, None)

    moved = await logs(people, run_id, limit=2, offset=3)
    assert (seqs(moved), moved["offset"], moved["total"]) == ([4, 5], 3, 5)
    later = await logs(people, run_id, after=3)
    assert (seqs(later), later["total"]) == ([4, 5], 2)
    models = await logs(people, run_id, kind="step.model", limit=1)
    assert (seqs(models), models["total"], models["next_cursor"]) == ([2], 2, "2")
    assert seqs(await logs(people, run_id, kind="step.model", cursor="2")) == [4]
    assert seqs(await logs(people, run_id, offset=2**31 - 1)) == []
    assert seqs(await logs(people, run_id, after=2**31 - 1)) == []

    bad_cursors = ["x", "-1", "9" * 10, base64.b64encode(b"[1]").decode(), "٣"]
    for cursor in bad_cursors:
        answer = await people.viewer.get(f"/execution-logs/{run_id}", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_cursor"), cursor
    for params in ({"limit": 0}, {"limit": 201}, {"after": -1}, {"kind": "x"}, {"page": 1}):
        answer = await people.viewer.get(f"/execution-logs/{run_id}", params=params)
        assert answer.status_code == 422, params


async def journal_of(people: People, muster: Muster, scripted: ScriptedServer) -> str:
    """An ended run with one more step of each kind and status, as another agent would log them."""
    run_id = await finished(people, scripted)
    async with muster.database.write() as session:
        run = await session.get_one(Run, run_id)
        run.status = "running"
        fence = run.fence
    writer: JournalWriter = muster.running.parts.writer

    def step(key: str, kind: StepKind, **values: Any) -> NewStep:
        return NewStep(
            **{"key": key, "kind": kind, "name": "n", "started_at": clock.now()} | values
        )

    failure = {"code": "c", "message": "It broke."}
    await writer.append(
        run_id,
        fence,
        [
            step("e", StepKind.TASK_ERROR, status=StepStatus.ERROR, error=failure),
            step("m8", StepKind.MODEL, status=StepStatus.ERROR, error=failure),
            step("m9", StepKind.MODEL, status=StepStatus.CANCELLED),
            step(
                "t9.0",
                StepKind.EXEC,
                status=StepStatus.BLOCKED,
                input={"password": "hunter2", "text": "x" * 900, "max_tokens": 7},
                output={"error": "no"},
            ),
            step("t9.1", StepKind.MESSAGE, status=StepStatus.REJECTED, output="plain text"),
        ],
    )
    return run_id


async def test_each_kind_of_step_in_words(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    run_id = await journal_of(people, working, scripted)
    lines = (await logs(people, run_id))["items"]
    words = [line["content"] for line in lines]
    assert words[0] == "Started: Tester - Go"
    assert words[1] == ("Model openai/scripted-large calls calculator (20 tokens in, 10 out)")
    assert words[2].startswith('Tool calculator({"expression":"6*7"}) ok: {"')
    assert words[3] == ("Model openai/scripted-large answers: It is 42. (20 tokens in, 10 out)")
    assert words[4] == "Ended: Tester - Go (ok)"
    assert words[5] == "Failed: It broke."
    assert words[6] == "Model n failed: It broke."
    assert words[7] == "Model n failed: cancelled"
    assert '"password":"***REDACTED***"' in words[8]
    assert "hunter2" not in words[8]
    assert "…" in words[8]
    assert words[9] == "Tool n(null) rejected: plain text"
    levels = [line["level"] for line in lines]
    assert levels == ["info"] * 5 + ["error", "error", "warning", "warning", "warning"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert all(line["duration_ms"] >= 0 for line in lines)


async def test_pages_of_the_trace(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    run_id = await journal_of(people, working, scripted)

    async def trace(**params: Any) -> dict[str, Any]:
        answer = await people.viewer.get(f"/execution-trace/{run_id}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    whole = await trace()
    assert [s["seq"] for s in whole["spans"]] == list(range(1, 11))
    assert (whole["next_seq"], whole["trace_id"]) == (None, run_id)
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = await trace(limit=4, after=after)
        found += page["spans"]
        after = page["next_seq"]
    assert [s["seq"] for s in found] == list(range(1, 11))
    assert (await trace(after=10)) == {**whole, "spans": []}
    assert (await trace(after=2**31 - 1))["spans"] == []

    by_key = {span["key"]: span for span in whole["spans"]}
    assert by_key["start"]["children"] == [f"{run_id}/m1", f"{run_id}/m2", f"{run_id}/end"]
    assert by_key["m1"]["children"] == [f"{run_id}/t1.0"]
    assert by_key["start"]["parent_span_id"] is None
    assert {s["key"]: s["status"] for s in whole["spans"] if s["seq"] > 5} == {
        "e": "ERROR",
        "m8": "ERROR",
        "m9": "UNSET",
        "t9.0": "ERROR",
        "t9.1": "UNSET",
    }
    assert by_key["t9.0"]["input"]["password"] == "***REDACTED***"
    assert by_key["t9.0"]["input"]["max_tokens"] == 7
    assert by_key["m8"]["error"] == {"code": "c", "message": "It broke."}
    assert all(
        later["previous_hash"] == earlier["hash"]
        for earlier, later in zip(whole["spans"], whole["spans"][1:], strict=False)
    )
    assert whole["head_hash"] == whole["spans"][-1]["hash"]
    for bad in ({"limit": 0}, {"limit": 5001}, {"after": -1}, {"after": 2**31}):
        answer = await people.viewer.get(f"/execution-trace/{run_id}", params=bad)
        assert answer.status_code == 422, bad


SECRETS = {
    "api_key": "sk-1",
    "Authorization": "Bearer x",
    "db-password": 12345,
    "nested": {"accessToken": "t", "fine": "yes"},
    "credentials": {"user": "u", "word": ["a", {"deep": "b"}]},
    "tokens": ["t1", "t2"],
    "max_tokens": 100,
    "secret": None,
    "topic": "tokens and secrets",
}
MASKED = {
    "api_key": "***REDACTED***",
    "Authorization": "***REDACTED***",
    "db-password": "***REDACTED***",
    "nested": {"accessToken": "***REDACTED***", "fine": "yes"},
    "credentials": {
        "user": "***REDACTED***",
        "word": ["***REDACTED***", {"deep": "***REDACTED***"}],
    },
    "tokens": ["***REDACTED***", "***REDACTED***"],
    "max_tokens": 100,
    "secret": None,
    "topic": "tokens and secrets",
}


async def test_secrets_are_masked_wherever_inputs_are_shown(
    people: People, scripted: ScriptedServer
) -> None:
    assert mask(SECRETS) == MASKED
    run_id = await finished(people, scripted, inputs={"prompt": "Go", **SECRETS})
    wanted = {"prompt": "Go", **MASKED}
    assert (await people.viewer.get(f"/executions/{run_id}")).json()["inputs"] == wanted
    assert (await people.viewer.get(f"/execution-history/{run_id}")).json()["inputs"] == wanted
    listed = (await people.viewer.get("/executions")).json()["items"]
    assert listed[0]["inputs"] == wanted
    trace = (await people.viewer.get(f"/execution-trace/{run_id}")).json()
    assert trace["spans"][0]["input"] == wanted
    for path in ("execution-logs", "execution-history", "events"):
        shown = await people.viewer.get(f"/{path}" + (f"/{run_id}" if path != "events" else ""))
        assert "sk-1" not in shown.text


async def test_history_holds_what_has_ended(people: People, scripted: ScriptedServer) -> None:
    run_id = await finished(people, scripted, run_name="First of May")
    scripted.script = Script(select="call", replies=[Reply(status=400)])
    agent = await make_agent(people.editor, name="Failer")
    failed = await start(people.operator, agent, run_name="Second")
    await until(people.viewer, failed)
    scripted.script = Script(select="call", replies=[Reply(hang=True)])
    active = await start(people.operator, agent, run_name="Third")

    async def found(**params: Any) -> list[str]:
        answer = await people.viewer.get("/execution-history", params=params)
        assert answer.status_code == 200, answer.text
        return [item["run_name"] for item in answer.json()["items"]]

    assert await found() == ["Second", "First of May"]
    assert await found(status="FAILED") == ["Second"]
    assert await found(status="completed, failed") == ["Second", "First of May"]
    assert await found(status=",") == ["Second", "First of May"]
    assert await found(status="running") == []
    assert await found(search="of may") == ["First of May"]
    assert await found(search=run_id) == ["First of May"]
    assert await found(agent_id=agent["id"]) == ["Second"]
    assert await found(limit=1, offset=1) == ["First of May"]
    one = (await people.viewer.get(f"/execution-history/{failed}")).json()
    assert (one["status"], one["error"]["code"]) == ("failed", "model_failed")
    assert one["duration_ms"] > 0
    assert one["completed_at"] >= one["started_at"] >= one["created_at"]

    moment = one["created_at"]
    runs = await people.viewer.get("/executions", params={"created_from": moment})
    assert [r["run_name"] for r in runs.json()["items"]] == ["Third", "Second"]
    runs = await people.viewer.get("/executions", params={"created_to": moment})
    assert [r["run_name"] for r in runs.json()["items"]] == ["First of May"]

    await until(people.viewer, active, "running")
    status = (await people.viewer.get(f"/executions/{active}/status")).json()
    assert status["progress"] == {
        "total_tasks": 1,
        "completed_tasks": 0,
        "running_tasks": 1,
        "current_task": "Third",
        "steps": status["progress"]["steps"],
        "model_calls": 0,
        "tool_calls": 0,
    }
    await people.operator.post(f"/executions/{active}/force-stop")
    status = (await people.viewer.get(f"/executions/{active}/status")).json()
    assert (status["status"], status["stop_reason"]) == ("stopped", "Stopped by Operator")
    assert status["stopped_at"]
    done = (await people.viewer.get(f"/executions/{run_id}/status")).json()
    assert (done["progress"]["completed_tasks"], done["stopped_at"]) == (1, None)


async def test_the_agent_shows_that_it_runs(people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(select="call", replies=[Reply(hang=True)])
    agent = await make_agent(people.editor)
    await people.editor.post(f"/agents/{agent['id']}/start")

    async def status() -> str:
        return str((await people.viewer.get(f"/agents/{agent['id']}")).json()["status"])

    first, second = [await start(people.operator, agent) for _ in range(2)]
    for run_id in (first, second):
        await until(people.viewer, run_id, "running")
    assert await status() == "running"
    stopped = (await people.editor.post(f"/agents/{agent['id']}/stop")).json()
    assert (stopped["status"], stopped["is_started"]) == ("running", False)
    await people.editor.post(f"/agents/{agent['id']}/start")
    await people.operator.post(f"/executions/{first}/cancel")
    assert await status() == "running"
    await people.editor.delete(f"/agents/{agent['id']}")
    await people.operator.post(f"/executions/{second}/cancel")
    gone = (await people.viewer.get("/agents", params={"include_inactive": True})).json()
    assert (gone["items"][0]["status"], gone["items"][0]["active"]) == ("offline", False)
    events = (await people.viewer.get("/events", params={"type": "agent.status"})).json()["items"]
    told = [e["data"]["status"] for e in events]
    assert told[::-1] == ["idle", "running", "running", "running"]

    # The run keeps what it was ruled by.
    run = (await people.viewer.get(f"/executions/{second}")).json()
    assert (run["agent_name"], run["agent_version"]) == ("Tester", 1)
    again = await people.operator.post(f"/executions/{second}/retry")
    assert again.status_code == 201
    await people.operator.post(f"/executions/{again.json()['execution_id']}/cancel")
    refused = await people.operator.post("/executions", json={"agent_id": agent["id"]})
    assert refused.status_code == 404


async def test_verification_finds_what_was_changed(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    run_id = await finished(people, scripted)
    path = f"/execution-trace/{run_id}/verify"
    before = (await people.viewer.get(path)).json()
    assert (before["valid"], before["steps"], before["reason"]) == (True, 5, None)
    async with working.database.write() as session:
        await session.execute(
            text("UPDATE steps SET name = 'forged' WHERE run_id = :run AND seq = 3"),
            {"run": run_id},
        )
    after = (await people.viewer.get(path)).json()
    assert (after["valid"], after["first_bad_seq"]) == (False, 3)
    assert after["head_hash"] == before["head_hash"]


async def test_long_values_are_shown_whole(
    people: People, working: Muster, scripted: ScriptedServer
) -> None:
    run_id = await finished(people, scripted, inputs={"prompt": "Go " + "far " * 20_000})
    blobs = working.running.parts.blobs
    assert isinstance(blobs, LocalBlobStore)
    trace = (await people.viewer.get(f"/execution-trace/{run_id}")).json()
    assert trace["spans"][0]["input"]["prompt"].count("far") == 20_000
    assert (await people.viewer.get(f"/execution-trace/{run_id}/verify")).json()["valid"]
    log = (await logs(people, run_id))["items"]
    assert all(len(line["content"]) < 1000 for line in log)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (None, None),
        ({"a": 1}, {"a": 1}),
        (True, {"success": True}),
        ([1], {"items": [1]}),
        ("text", {"value": "text"}),
        (5, {"value": 5}),
    ],
)
def test_a_result_as_an_object(result: Any, shown: Any) -> None:
    assert as_object(result) == shown
