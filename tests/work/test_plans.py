"""Crews and workflows at work, on a scripted model."""

import pytest

from muster.entrypoints.assembly import Muster
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import open_approval, spans, until
from tests.work.plan_setting import MODEL, crew, flow, start_plan, task

pytestmark = pytest.mark.anyio


def say(server: ScriptedServer, replies: list[Reply]) -> None:
    """Let the server answer with these from now on."""
    server.reset()
    server.script = Script(select="call", replies=replies)


async def nodes(client: object, run_id: str) -> dict[str, object]:
    """Return the outputs of the nodes of a run, in the order in which they ended."""
    found = await spans(client, run_id)  # type: ignore[arg-type]
    return {span["name"]: span["output"] for span in found if span["key"].startswith(("n.", "tn."))}


async def test_tasks_one_after_the_other_hand_on_what_they_came_to(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, [Reply(text="A draft."), Reply(text="A better text.")])
    spec = crew(task("draft"), task("edit", "editor", expected_output="Good {kind}."))
    run_id = await start_plan(working, people.project_id, spec, kind="prose")
    run = await until(people.owner, run_id)
    assert run["status"] == "completed", run
    assert run["result"] == "A better text."
    assert run["execution_type"] == "crew"
    assert run["usage"]["input_tokens"] == 40
    assert await nodes(people.owner, run_id) == {"draft": "A draft.", "edit": "A better text."}
    second = scripted.calls[-1].body["messages"]
    assert "the editor" in second[0]["content"]
    assert "Expected output: Good prose." in second[1]["content"]
    assert '<document title="draft">\nA draft.' in second[1]["content"]
    children = (await people.owner.get("/executions", params={"parent_run_id": run_id})).json()
    assert {child["origin"] for child in children["items"]} == {"plan"}
    status = (await people.owner.get(f"/executions/{run_id}/status")).json()
    assert status["progress"]["total_tasks"] == 2
    assert status["progress"]["completed_tasks"] == 2


async def test_a_hierarchical_crew_has_a_manager_who_assigns_and_reviews(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(
        scripted,
        [
            Reply(text='{"agent": "editor", "advice": "Be short."}'),
            Reply(text="Too long."),
            Reply(text='{"accepted": false, "feedback": "Shorter!"}'),
            Reply(text="Short."),
            Reply(text='{"accepted": true, "feedback": ""}'),
        ],
    )
    spec = crew({"key": "write", "description": "Write."}, process="hierarchical")
    run_id = await start_plan(working, people.project_id, spec)
    run = await until(people.owner, run_id)
    assert run["result"] == "Short.", run
    asked = [call.body["messages"] for call in scripted.calls]
    assert "manager" in asked[0][0]["content"]
    assert "the editor" in asked[1][0]["content"]
    assert "Be short." in asked[1][1]["content"]
    assert "It was not accepted: Shorter!" in asked[3][1]["content"]


async def test_a_guardrail_sends_an_output_back_and_gives_up_at_last(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, [Reply(text="no"), Reply(text="a long enough text")])
    guarded = task("write", guardrail="len(output) > 5", guardrail_max_retries=1)
    run_id = await start_plan(working, people.project_id, crew(guarded))
    assert (await until(people.owner, run_id))["result"] == "a long enough text"
    say(scripted, [Reply(text="no")])
    run_id = await start_plan(working, people.project_id, crew(guarded))
    run = await until(people.owner, run_id)
    assert run["status"] == "failed"
    assert "len(output) > 5" in run["error"]["message"]


async def test_a_person_looks_at_the_output(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, [Reply(text="One."), Reply(text="Two.")])
    spec = crew(task("write", human_input=True))
    run_id = await start_plan(working, people.project_id, spec)
    asked = await open_approval(people.owner, run_id)
    assert asked["details"]["arguments"] == {"output": "One."}
    said = await people.owner.post(f"/approvals/{asked['id']}/reject", json={"reason": "Again"})
    assert said.status_code == 200, said.text
    asked = await open_approval(people.owner, run_id)
    answer = {"arguments": {"output": "Mine."}}
    await people.owner.post(f"/approvals/{asked['id']}/approve", json=answer)
    assert (await until(people.owner, run_id))["result"] == "Mine."


async def test_a_flow_branches_loops_maps_and_joins(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "start", "type": "start", "next": "count"},
        {"name": "count", "type": "loop", "condition": "n < 3", "body": "add", "next": "fork"},
        {"name": "add", "type": "transform", "assign": {"n": "n + 1"}},
        {"name": "fork", "type": "parallel", "branches": ["left", "right"], "next": "each"},
        {"name": "left", "type": "transform", "assign": {"l": "n * 2"}, "next": "each"},
        {"name": "right", "type": "transform", "assign": {"r": "n * 3"}, "next": "each"},
        {"name": "each", "type": "map", "items": "[l, r]", "body": "double", "next": "which"},
        {"name": "double", "type": "transform", "inputs": {"twice": "{{ item * 2 }}"}},
        {"name": "which", "type": "switch", "expression": "n", "cases": {"3": "three"}},
        {"name": "three", "type": "if", "condition": "l > r", "then": "end", "otherwise": "out"},
        {"name": "out", "type": "output", "prompt": "{{ nodes.each }}", "next": "end"},
        {"name": "end", "type": "end", "inputs": {"all": "{{ nodes.out }}", "n": "{{ n }}"}},
    )
    run_id = await start_plan(working, people.project_id, spec, n=0)
    run = await until(people.owner, run_id)
    assert run["result"] == {"all": [{"twice": 12}, {"twice": 18}], "n": 3}, run


async def test_a_graph_skips_what_no_path_leads_to(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "check", "type": "if", "condition": "good", "then": "yes", "otherwise": "no"},
        {"name": "yes", "type": "transform", "inputs": {"v": 1}, "depends_on": ["check"]},
        {"name": "no", "type": "transform", "inputs": {"v": 2}, "depends_on": ["check"]},
        {"name": "after_no", "type": "transform", "inputs": {"v": 3}, "depends_on": ["no"]},
        {"name": "join", "type": "output", "prompt": "done", "depends_on": ["yes", "after_no"]},
        mode="graph",
    )
    run_id = await start_plan(working, people.project_id, spec, good=True)
    assert (await until(people.owner, run_id))["result"] == "done"
    assert list(await nodes(people.owner, run_id)) == ["check", "yes", "join"]


async def test_tools_fallbacks_retries_and_errors(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "start", "type": "start", "next": "sum"},
        {
            "name": "sum",
            "type": "tool",
            "tool": "calculator",
            "arguments": {"expression": "{{ a }} + 1"},
            "next": "wrong",
        },
        {
            "name": "wrong",
            "type": "tool",
            "tool": "calculator",
            "arguments": {"expression": "1 /"},
            "retry": {"attempts": 1, "wait_s": 0},
            "fallback": "none",
            "next": "worse",
        },
        {
            "name": "worse",
            "type": "transform",
            "assign": {"x": "nothing"},
            "on_error": "told",
            "next": "end",
        },
        {"name": "told", "type": "output", "prompt": "{{ nodes.worse.error.message }}"},
        {"name": "end", "type": "end"},
    )
    run_id = await start_plan(working, people.project_id, spec, a=41)
    run = await until(people.owner, run_id)
    assert run["status"] == "completed", run
    assert "nothing is not known" in run["result"]
    done = await nodes(people.owner, run_id)
    found = {span["key"]: span["output"] for span in await spans(people.owner, run_id)}
    assert "42" in str(found["tn.sum"])
    assert done["wrong"] == {"value": "none", "follow": None}


async def test_approval_and_input_wait_for_people(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "ask", "type": "input", "variables": [{"name": "who"}], "next": "gate"},
        {"name": "gate", "type": "approval", "title": "Greet {{ who }}?", "next": "end"},
        {"name": "end", "type": "end", "inputs": {"text": "Hello {{ who }}"}},
    )
    run_id = await start_plan(working, people.project_id, spec)
    asked = await open_approval(people.owner, run_id)
    path = f"/approvals/{asked['id']}/approve"
    refused = await people.owner.post(path, json={})
    assert refused.status_code == 422
    await people.owner.post(path, json={"arguments": {"who": "Ada"}})
    asked = await open_approval(people.owner, run_id)
    assert asked["title"] == "Greet Ada?"
    await people.owner.post(f"/approvals/{asked['id']}/approve", json={})
    assert (await until(people.owner, run_id))["result"] == {"text": "Hello Ada"}


async def test_a_delay_sleeps_without_a_place(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "wait", "type": "delay", "delay_s": 4, "next": "end"},
        {"name": "end", "type": "end", "inputs": {"ok": True}},
    )
    run_id = await start_plan(working, people.project_id, spec)
    run = await until(people.owner, run_id)
    assert run["result"] == {"ok": True}
    assert run["segment"] == 3


async def test_a_failed_crew_goes_on_with_the_task_that_failed(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    say(scripted, [Reply(text="First."), Reply(status=400, message="No.")])
    run_id = await start_plan(working, people.project_id, crew(task("one"), task("two")))
    assert (await until(people.owner, run_id))["status"] == "failed"
    say(scripted, [Reply(text="Second.")])
    answer = await people.owner.post(f"/executions/{run_id}/resume")
    assert answer.status_code == 200, answer.text
    run = await until(people.owner, run_id, "completed")
    assert run["result"] == "Second."
    assert len(scripted.calls) == 1


async def test_agents_of_a_flow_use_models_and_schemas(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(text="Fine.")
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    spec = flow(
        {
            "name": "ask",
            "type": "llm",
            "prompt": "About {{ x }}",
            "output": "said",
            "next": "form",
        },
        {"name": "form", "type": "agent", "output_schema": schema, "next": "end"},
        {"name": "end", "type": "end", "inputs": {"said": "{{ said }}", "a": "{{ last.a }}"}},
        model=MODEL,
    )
    run_id = await start_plan(working, people.project_id, spec, x="tea")
    run = await until(people.owner, run_id)
    assert run["result"] == {"said": "Fine.", "a": 1}, run
    assert scripted.calls[0].body["messages"][1]["content"] == "About tea"
