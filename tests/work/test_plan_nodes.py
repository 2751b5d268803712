"""What each type of node does, and how it refuses."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from muster.domains.work.journal import Intent
from muster.domains.work.plans import NodeFailed, NodeSpec, PlanEndless, PlanInvalid, WorkflowSpec
from muster.domains.work.plans.runner import PlanRunner, choose, transform
from muster.domains.work.plans.scope import Scope
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import asked, decide, open_approval, spans, until
from tests.work.plan_setting import (
    alone,
    came,
    crew,
    flow,
    start_plan,
    task,
)

pytestmark = pytest.mark.anyio


async def pure(node: NodeSpec, scope: Scope, _: str) -> Any:
    """Execute nodes that touch nothing."""
    names = scope.names({})
    if node.type == "transform":
        made = transform(node, names)
        if node.assign:
            scope.variables.update(made)
        return made
    if node.type in {"if", "switch"}:
        return choose(node, names)
    if node.type == "tool":
        raise NodeFailed("broken")
    return scope.last


async def walked(spec: WorkflowSpec, **variables: Any) -> Any:
    return await PlanRunner(spec, pure, variables).run()


async def test_a_flow_that_never_ends_is_ended() -> None:
    spec = flow(
        {"name": "a", "type": "transform", "next": "b"},
        {"name": "b", "type": "transform", "next": "a"},
    )
    with pytest.raises(PlanEndless) as ended:
        await walked(spec)
    assert ended.value.code == "plan_endless"


async def test_a_node_that_is_not_there() -> None:
    with pytest.raises(NodeFailed, match="no node b"):
        await walked(flow({"name": "a", "type": "transform", "next": "b"}))


async def test_the_result_is_a_variable_if_one_is_named() -> None:
    node = {"name": "a", "type": "transform", "assign": {"x": "1"}, "output": "y"}
    assert await walked(flow(node, result="x")) == 1
    assert await walked(flow(node, result="y")) == {"x": 1}
    assert await walked(flow(node, result="z")) == {"x": 1}


async def test_if_without_otherwise_ends_the_flow() -> None:
    spec = flow(
        {"name": "check", "type": "if", "condition": "n > 1", "then": "more"},
        {"name": "more", "type": "transform", "inputs": {"more": True}},
    )
    assert await walked(spec, n=2) == {"more": True}
    assert await walked(spec, n=1) == {"value": False, "next": None}


@pytest.mark.parametrize(
    ("value", "follows"),
    [(True, "yes"), (False, "no"), (1, "one"), (1.5, "half"), ("word", "word"), (None, "rest")],
)
async def test_switches(value: Any, follows: str) -> None:
    cases = {"true": "yes", "false": "no", "1": "one", "1.5": "half", "word": "word"}
    node = {"name": "s", "type": "switch", "expression": "v", "cases": cases, "default": "rest"}
    assert choose(NodeSpec.model_validate(node), {"v": value})["next"] == follows


@pytest.mark.parametrize(
    ("items", "told"), [("3", "must be a list"), ("range(1000) + [1]", "may have 1000 items")]
)
async def test_maps_refuse(items: str, told: str) -> None:
    spec = flow(
        {"name": "m", "type": "map", "items": items, "body": "b"}, {"name": "b", "type": "output"}
    )
    with pytest.raises(NodeFailed, match=told):
        await walked(spec)


async def test_maps_of_nothing_and_of_tuples() -> None:
    body = {"name": "b", "type": "transform", "inputs": {"is": "{{ thing }} at {{ index }}"}}
    each = {"name": "m", "type": "map", "body": "b", "item": "thing"}
    assert await walked(flow(each, body)) == []
    found = await walked(flow({**each, "items": "('a', 'b')", "max_concurrency": 1}, body))
    assert found == [{"is": "a at 0"}, {"is": "b at 1"}]


async def test_loops_have_a_cap() -> None:
    add = {"name": "add", "type": "transform", "assign": {"n": "n + 1"}}
    loop = {"name": "l", "type": "loop", "body": "add"}
    assert (await walked(flow(loop, add), n=0))["iterations"] == 100
    few = await walked(flow({**loop, "max_iterations": 3}, add), n=0)
    assert few == {"iterations": 3, "last": {"n": 3}}
    ends = flow(
        {**loop, "body": "end"}, {"name": "end", "type": "end", "inputs": {}, "output": "n"}
    )
    assert await walked(ends, n=0) is not None


async def test_what_branches_set_is_known_behind_them() -> None:
    spec = flow(
        {"name": "fork", "type": "parallel", "branches": ["a", "b"], "next": "join"},
        {"name": "a", "type": "transform", "assign": {"x": "1", "void": "null"}, "next": "shared"},
        {"name": "b", "type": "transform", "assign": {"y": "x0 + 1"}, "next": "shared"},
        {"name": "shared", "type": "transform", "inputs": {"seen": "{{ last }}"}, "next": "join"},
        {"name": "join", "type": "transform", "inputs": {"all": "{{ [x, y, void] }}"}},
    )
    keys: list[str] = []

    async def act(node: NodeSpec, scope: Scope, key: str) -> Any:
        keys.append(key)
        return await pure(node, scope, key)

    assert await PlanRunner(spec, act, {"x0": 1}).run() == {"all": [1, 2, None]}
    assert len(set(keys)) == len(keys), "a node that both branches come by has a step for each"


async def test_branches_that_are_read_from_the_journal_set_the_same() -> None:
    spec = flow(
        {"name": "fork", "type": "parallel", "branches": ["a", "b"], "next": "join"},
        {"name": "a", "type": "transform", "assign": {"x": "'new'"}, "next": "join"},
        {"name": "b", "type": "transform", "assign": {"x": "x"}, "next": "join"},
        {"name": "join", "type": "transform", "inputs": {"x": "{{ x }}"}},
    )
    kept: dict[str, str] = {}

    async def act(node: NodeSpec, scope: Scope, key: str) -> Any:
        if key not in kept:
            kept[key] = json.dumps(await pure(node, scope, key))
        elif node.assign:
            scope.variables.update(json.loads(kept[key]))
        return json.loads(kept[key])

    assert await PlanRunner(spec, act, {"x": "old"}).run() == {"x": "new"}
    del kept["n.join"]
    assert await PlanRunner(spec, act, {"x": "old"}).run() == {"x": "new"}


async def test_the_keys_of_nodes_fit() -> None:
    scope = Scope({}).below("@somewhere.999")
    names = ["a", "Ünïcode", "x" * 100, "y" * 100, "a~b", "a+b/c", "a#1", "with space"]
    keys = [scope.key(name) for name in names for _ in range(2)]
    keys += [scope.below(f"@{name}.0").key("a") for name in names]
    assert len(set(keys)) == len(keys)
    assert all(len(key) <= 48 and not set("~+/") & set(key) for key in keys)


# -- graphs ------------------------------------------------------------------------------------


async def test_nodes_that_wait_for_each_other_are_refused() -> None:
    spec = flow(
        {"name": "a", "type": "output", "depends_on": ["c"]},
        {"name": "b", "type": "output", "depends_on": ["a"]},
        {"name": "c", "type": "output", "depends_on": ["b"]},
        mode="graph",
    )
    with pytest.raises(PlanInvalid, match="wait for each other"):
        await walked(spec)


async def test_independent_nodes_of_a_graph_go_on() -> None:
    done: list[str] = []

    async def act(node: NodeSpec, scope: Scope, key: str) -> Any:
        value = await pure(node, scope, key)
        done.append(node.name)
        return value

    spec = flow(
        {"name": "bad", "type": "tool"},
        {"name": "behind", "type": "output", "depends_on": ["bad"]},
        {"name": "good", "type": "output"},
        {"name": "later", "type": "output", "depends_on": ["good"]},
        {"name": "off", "type": "output", "when": "false"},
        {"name": "switch", "type": "switch", "expression": "1", "cases": {"1": "c1", "2": "c2"}},
        {"name": "c1", "type": "output", "depends_on": ["switch"]},
        {"name": "c2", "type": "output", "depends_on": ["switch"]},
        {"name": "each", "type": "map", "items": "[1]", "body": "body"},
        {"name": "body", "type": "output"},
        mode="graph",
    )
    with pytest.raises(NodeFailed, match="broken"):
        await PlanRunner(spec, act, {}).run()
    assert sorted(done) == ["body", "c1", "good", "later", "switch"]


async def test_a_condition_that_fails_in_a_graph(working: Muster, people: People) -> None:
    check = {"name": "check", "type": "if", "condition": "nothing", "then": "yes"}
    spec = flow(
        {**check, "fallback": "unsure"},
        {"name": "yes", "type": "output", "prompt": "yes", "depends_on": ["check"]},
        mode="graph",
    )
    assert (await came(working, people, spec))["result"] == "unsure"
    spec = flow(
        {**check, "on_error": "mend"},
        {"name": "yes", "type": "output", "prompt": "yes", "depends_on": ["check"]},
        {"name": "mend", "type": "output", "prompt": "mended", "depends_on": ["check"]},
        mode="graph",
    )
    assert (await came(working, people, spec))["result"] == "mended"
    fine = {"name": "check", "type": "transform", "on_error": "mend", "inputs": {"ok": 1}}
    spec = flow(
        fine,
        {"name": "mend", "type": "output", "prompt": "mended", "depends_on": ["check"]},
        mode="graph",
    )
    assert (await came(working, people, spec))["result"] == {"ok": 1}


# -- nodes that do something ---------------------------------------------------------------------


async def test_ends_and_outputs(working: Muster, people: People) -> None:
    spec = flow(
        {"name": "start", "type": "start", "inputs": {"g": "{{ input.n }}"}, "next": "set"},
        {"name": "set", "type": "transform", "assign": {"x": "len(history)"}, "next": "show"},
        {"name": "show", "type": "output", "inputs": {"x": "{{ x }}"}, "output": "s", "next": "e"},
        {"name": "e", "type": "end", "output": "x"},
    )
    assert (await came(working, people, spec, n=1))["result"] == 0
    spec = flow(
        {"name": "a", "type": "output", "prompt": "{{ templates.t }}"}, templates={"t": "T"}
    )
    assert (await came(working, people, spec))["result"] == "T"


@pytest.mark.parametrize(
    ("node", "told"),
    [
        ({"type": "tool", "tool": "calculator", "arguments": {"expression": "1/0"}}, ""),
        ({"type": "delay", "until": "soon"}, "is no moment"),
        ({"type": "delay", "until": "2030-01-01T00:00:00"}, "has no time zone"),
        ({"type": "delay", "until": "0001-01-01T00:00:00+23:00"}, "is no moment"),
        ({"type": "delay", "until": "{{ nothing }}"}, "nothing is not known"),
        ({"type": "if", "condition": "nothing"}, "nothing is not known"),
        ({"type": "switch", "expression": "1 +"}, "cannot be read"),
        ({"type": "dance"}, "nodes of type dance cannot be executed"),
    ],
)
async def test_failures(working: Muster, people: People, node: Any, told: str) -> None:
    run = await came(working, people, alone(**node))
    assert (run["status"], run["error"]["code"]) == ("failed", "node_failed"), run
    assert told in run["error"]["message"]
    if node["type"] != "dance":
        run = await came(working, people, alone(**node, on_error="told"))
        assert run["status"] == "completed", run
        assert told in run["result"]


async def test_moments(working: Muster, people: People) -> None:
    soon = (clock.now() + timedelta(seconds=1)).isoformat()
    run = await came(working, people, alone(type="delay", until="{{ at }}"), at=soon)
    assert (run["status"], run["segment"]) == ("completed", 1)
    past = await came(working, people, alone(type="delay", until="2020-01-01T00:00:00Z"))
    assert past["result"] == {"until": "2020-01-01T00:00:00.000000Z"}


async def test_retries_wait(working: Muster, people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(
        select="call", replies=[Reply(status=400), Reply(status=400), Reply(text="Well.")]
    )
    node = {"type": "llm", "prompt": "x", "retry": {"attempts": 2, "wait_s": 0.2, "backoff": 3}}
    run = await came(working, people, alone(**node))
    assert run["result"] == "Well.", run
    assert run["duration_ms"] >= 800
    assert len(scripted.calls) == 3


async def test_a_long_wait_for_another_attempt_costs_nothing(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(status=400), Reply(text="Well.")])
    node = {"type": "llm", "prompt": "x", "retry": {"attempts": 1, "wait_s": 3.2}}
    run = await came(working, people, alone(**node))
    assert (run["result"], run["segment"]) == ("Well.", 3), run
    assert len(scripted.calls) == 2
    scripted.reset()
    scripted.script = Script(select="call", replies=[Reply(status=400)])
    node["retry"]["wait_s"] = 3_000
    run_id = await start_plan(working, people.project_id, alone(**node))
    await asked(scripted, 1)
    async with asyncio.timeout(30):
        while "dn.it+2" not in [span["key"] for span in await spans(people.owner, run_id)]:
            await asyncio.sleep(0.02)
    await until(people.owner, run_id, "pending")
    await people.owner.post(f"/executions/{run_id}/stop")
    assert (await until(people.owner, run_id))["status"] == "stopped"


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that never answers."""
    over = asyncio.Event()

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_server(keep, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/"
        over.set()


async def test_the_limit_of_an_agent(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(hang=True)])
    node = {"type": "llm", "prompt": "x", "timeout_s": 0.5, "on_error": "told"}
    run = await came(working, people, alone(**node))
    assert run["status"] == "completed", run
    assert "limit of 1 seconds" in run["result"]


async def test_the_limit_of_a_task(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(hang=True)])
    run = await came(working, people, crew(task("write", timeout_s=0.5)))
    assert (run["status"], run["error"]["code"]) == ("failed", "node_failed"), run
    assert "limit of 1 seconds" in run["error"]["message"]


async def test_the_limit_of_a_tool(working: Muster, people: People, silent: str) -> None:
    node = {"type": "tool", "tool": "fetch_page", "arguments": {"url": silent}, "timeout_s": 0.3}
    run = await came(working, people, alone(**node, on_error="told"))
    assert run["result"] == "It did not end within 0.3 seconds.", run
    (call,) = [s for s in await spans(people.owner, run["id"]) if s["key"] == "tn.it"]
    assert (call["status"], call["error"]["code"]) == ("ERROR", "upstream_timeout"), call
    progress = (await people.owner.get(f"/executions/{run['id']}/status")).json()["progress"]
    assert progress["completed_tasks"] == 3, progress
    run = await came(working, people, alone(**node))
    assert (run["status"], run["error"]["code"]) == ("failed", "node_failed"), run


async def test_a_call_that_was_broken_off_is_not_made_again_unasked(
    working: Muster, people: People, silent: str
) -> None:
    configuration = {"url": silent, "method": "POST", "send_arguments": "body"}
    tool = {"name": "pay", "tool_type": "http", "configuration": configuration}
    assert (await people.editor.post("/tools", json=tool)).status_code == 201
    run_id = await start_plan(
        working, people.project_id, alone(type="tool", tool="pay", on_error="told")
    )
    async with asyncio.timeout(30):
        while not await at_work(working, run_id):
            await asyncio.sleep(0.02)
    await people.owner.post(f"/executions/{run_id}/cancel")
    await people.owner.post(f"/executions/{run_id}/resume")
    asked_about = await open_approval(people.owner, run_id)
    assert asked_about["kind"] == "uncertain_step"
    path = f"/approvals/{asked_about['id']}/approve"
    await people.owner.post(path, json={"choice": "skip"})
    run = await until(people.owner, run_id)
    assert run["result"] == "It is not known whether this happened.", run


async def at_work(muster: Muster, run_id: str) -> bool:
    """Tell whether a tool that may have an effect is being called."""
    async with muster.database.read() as session:
        return await session.scalar(select(Intent.key).where(Intent.run_id == run_id)) is not None


@pytest.mark.parametrize("path", ["../out.txt", "/etc/out", "a/../b", "x" * 199 + "/"])
async def test_output_files_with_bad_paths(working: Muster, people: People, path: str) -> None:
    run = await came(working, people, crew(task("write", output_file=path)))
    assert run["status"] == "failed", run
    assert "The output cannot go to " in run["error"]["message"]


async def test_output_files(working: Muster, people: People, scripted: ScriptedServer) -> None:
    scripted.script = Script(text="Written.")
    good = crew(task("write", output_file="notes/out.md"))
    run_id = await start_plan(working, people.project_id, good)
    assert (await until(people.owner, run_id))["status"] == "completed"
    files = list(working.settings.data_dir.rglob("out.md"))
    assert [file.read_text() for file in files] == ["Written."]
    twice = crew(task("one", output_file="notes"), task("two", output_file="notes/b.md"))
    run = await came(working, people, twice)
    assert "'notes/b.md' cannot be opened: it is no plain file" in run["error"]["message"]


@pytest.mark.parametrize("path", ["link", "linked/out.md"])
async def test_output_files_follow_no_links(
    working: Muster, people: People, scripted: ScriptedServer, tmp_path: Path, path: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    scripted.script = Script(text="Written.")
    asking = crew(task("look", human_input=True), task("write", output_file=path))
    run_id = await start_plan(working, people.project_id, asking)
    await until(people.owner, run_id, "waiting_for_approval")
    folder = working.running.parts.workspaces / people.project_id / run_id
    (folder / "link").symlink_to(outside / "kept")
    (folder / "linked").symlink_to(outside)
    await decide(people, run_id, "approve")
    run = await until(people.owner, run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "node_failed"), run
    assert f"The output cannot go to {path}" in run["error"]["message"]
    assert [file.read_text() for file in outside.iterdir()] == ["kept"]


async def test_output_files_count_for_the_quota(
    working: Muster, people: People, scripted: ScriptedServer
) -> None:
    services = working.running.parts.tools.services
    working.running.parts.tools.services = replace(services, workspace_bytes=10)
    scripted.script = Script(text="Written.")
    spec = crew(task("one", output_file="one.md"), task("two", output_file="two.md"))
    run_id = await start_plan(working, people.project_id, spec)
    run = await until(people.owner, run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "node_failed"), run
    assert "The output cannot go to two.md: The workspace is full" in run["error"]["message"]
    folder = working.running.parts.workspaces / people.project_id / run_id
    assert [file.name for file in folder.iterdir()] == ["one.md"]
