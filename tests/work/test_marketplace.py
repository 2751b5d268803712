"""The marketplace: bundles that are installed as a whole, tried, and taken back."""

import asyncio
from typing import Any

import pytest

from muster.domains.work.marketplace.bundles import bundles
from muster.entrypoints.assembly import Muster
from tests.platform.recorded import recorded
from tests.support.echo_server import EchoServer, serve
from tests.support.model_server import Reply, Script, ScriptedServer
from tests.support.people import People
from tests.work.driving import open_approval, until

pytestmark = pytest.mark.anyio

BUNDLES = sorted(bundles())
LISTS = {
    "agent": "/agents",
    "prompt": "/templates",
    "task": "/tasks",
    "crew": "/crews",
    "workflow": "/workflows",
    "trigger": "/triggers",
}
TEMPLATES = "/marketplace/templates"


async def everything(people: People) -> dict[str, list[str]]:
    """Return the ids of all that the project has."""
    found = {}
    for kind, path in LISTS.items():
        answer = await people.viewer.get(path, params={"limit": 200})
        assert answer.status_code == 200, answer.text
        found[kind] = sorted(item["id"] for item in answer.json()["items"])
    return found


async def install(people: People, bundle: str, **body: Any) -> dict[str, Any]:
    answer = await people.editor.post(f"{TEMPLATES}/{bundle}/install", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "installed"
    return answer.json()


async def uninstall(people: People, bundle: str, **params: Any) -> dict[str, Any]:
    answer = await people.editor.delete(f"{TEMPLATES}/{bundle}/install", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def made(result: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [thing for thing in result["things"] if thing["kind"] == kind]


def test_there_are_eight_bundles() -> None:
    assert len(BUNDLES) >= 8
    for bundle in bundles().values():
        assert len(bundle.description) > 200, bundle.id
        assert bundle.crews or bundle.workflows, bundle.id


@pytest.mark.parametrize("bundle", BUNDLES)
async def test_a_bundle_is_installed_tried_and_removed(
    people: People, working: Muster, bundle: str
) -> None:
    before = await everything(people)
    shown = (await people.viewer.get(f"{TEMPLATES}/{bundle}")).json()
    result = await install(people, bundle)
    assert (result["status"], result["problems"]) == ("installed", [])
    planned = [(thing["kind"], thing["name"]) for thing in shown["things"]]
    assert [(thing["kind"], thing["name"]) for thing in result["things"]] == planned
    assert result["example"] == shown["example"]
    for thing in result["things"]:
        await check(people, thing)
    (event,) = await recorded(working, "marketplace.installed", chain=people.project_id)
    assert event.data["template_id"] == bundle
    assert len(event.data["created"]) == len(planned)

    answer = await people.operator.post("/executions", json=result["example"]["execution"])
    assert answer.status_code == 201, answer.text
    run_id = answer.json()["execution_id"]
    for _ in range(result["example"]["approvals"]):
        approval = await open_approval(people.operator, run_id)
        path = f"/approvals/{approval['id']}/approve"
        assert (await people.operator.post(path, json={})).status_code == 200
    run = await until(people.viewer, run_id)
    assert run["status"] == "completed", run
    assert run["result"], run
    assert all(word in str(run["result"]) for word in EXPECTED[bundle]), run["result"]

    removed = await uninstall(people, bundle)
    assert (removed["kept"], removed["missing"]) == ([], [])
    assert len(removed["removed"]) == len(planned)
    assert await everything(people) == before
    assert (await people.viewer.get("/marketplace/installations")).json()["total"] == 0
    (event,) = await recorded(working, "marketplace.uninstalled", chain=people.project_id)
    assert event.data["kept"] == []


EXPECTED = {
    "code-review": ["not checked", "hunter2"],
    "compliance-check": ["deliver orders", "'gaps': ['transfers to third countries', 'the super"],
    "data-report": ["4450", "North", "2700"],
    "document-question-answering": ["three months"],
    "meeting-minutes": ["15 March", "decided"],
    "research-crew": ["four"],
    "support-triage": ["'urgent': True", "outage", "Settings"],
    "web-monitor": ["'found': True", "4 March"],
}


async def check(people: People, thing: dict[str, Any]) -> None:
    """See that something that was made can be used as it is."""
    path = f"{LISTS[thing['kind']]}/{thing['id']}"
    found = (await people.viewer.get(path)).json()
    if thing["kind"] == "workflow":
        validity = (await people.viewer.post(f"{path}/validate")).json()
        assert validity["valid"], validity
        assert [p for p in validity["problems"] if p["severity"] == "error"] == []
    elif thing["kind"] == "trigger":
        assert found["enabled"] is False
    else:
        assert found["configuration_status"]["is_ready"], found


async def test_the_list_and_its_filters(people: People) -> None:
    async def ids(**params: Any) -> list[str]:
        answer = await people.viewer.get(TEMPLATES, params=params)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert sorted(await ids()) == BUNDLES
    assert await ids(category="Research") == ["research-crew"]
    assert await ids(search="MINUTES") == ["meeting-minutes"]
    assert await ids(search="nothing like it") == []
    page = (await people.viewer.get(TEMPLATES, params={"limit": 3, "offset": 3})).json()
    assert (len(page["items"]), page["total"], page["has_more"]) == (3, len(BUNDLES), True)
    assert await ids(installed=True) == []
    result = await install(people, "web-monitor")
    assert await ids(installed=True) == ["web-monitor"]
    assert "web-monitor" not in await ids(installed=False)
    shown = (await people.viewer.get(f"{TEMPLATES}/web-monitor")).json()
    assert (shown["installed"], shown["installation_id"]) == (True, result["installation_id"])
    assert shown["creates"] == {"agent": 1, "workflow": 1, "trigger": 1}
    unknown = await people.viewer.get(f"{TEMPLATES}/nothing")
    assert unknown.status_code == 404
    assert "web-monitor" in unknown.json()["detail"]


async def test_a_dry_run_changes_nothing(people: People, working: Muster) -> None:
    before = await everything(people)
    path = f"{TEMPLATES}/research-crew/install"
    answer = await people.editor.post(path, json={"dry_run": True, "prefix": "eu"})
    assert answer.status_code == 200, answer.text
    tried = answer.json()
    assert (tried["status"], tried["installation_id"]) == ("would_install", None)
    assert {"kind": "agent", "id": None, "name": "eu-research-scout"} in tried["things"]
    assert await everything(people) == before
    assert not await recorded(working, "marketplace.installed", chain=people.project_id)
    assert not await recorded(working, "agent.created", chain=people.project_id)

    refused = await people.editor.post(
        f"{TEMPLATES}/web-monitor/install",
        json={"dry_run": True, "parameters": {"cron": "at noon"}},
    )
    assert refused.status_code == 400, refused.text
    await install(people, "research-crew")
    again = await people.editor.post(path, json={"dry_run": True})
    assert (again.status_code, again.json()["status"]) == (200, "already_installed")


async def test_a_second_installation_is_the_first(people: People, working: Muster) -> None:
    first = await install(people, "meeting-minutes", prefix="team", model="builtin/extractive")
    before = await everything(people)
    path = f"{TEMPLATES}/meeting-minutes/install"
    answer = await people.editor.post(path, json={"prefix": "other"})
    assert answer.status_code == 200, answer.text
    second = answer.json()
    assert second["status"] == "already_installed"
    for field in ("installation_id", "things", "example"):
        assert second[field] == first[field]
    assert await everything(people) == before
    assert len(await recorded(working, "marketplace.installed", chain=people.project_id)) == 1
    assert (await people.editor.post(path)).status_code == 200  # a body is not needed


async def test_twenty_at_once_leave_one(people: People) -> None:
    path = f"{TEMPLATES}/support-triage/install"
    answers = await asyncio.gather(*(people.editor.post(path) for _ in range(20)))
    assert {a.status_code for a in answers} == {200}, [a.text for a in answers]
    statuses = sorted(a.json()["status"] for a in answers)
    assert statuses == ["already_installed"] * 19 + ["installed"]
    assert len({a.json()["installation_id"] for a in answers}) == 1
    found = await everything(people)
    assert (len(found["agent"]), len(found["workflow"])) == (2, 1)
    answers = await asyncio.gather(*(people.editor.delete(path) for _ in range(5)))
    assert sorted(a.status_code for a in answers) == [200, 404, 404, 404, 404]


async def test_names_that_are_taken(people: People) -> None:
    agent = {"name": "Mine", "key": "page-watcher", "llm": "builtin/extractive"}
    assert (await people.editor.post("/agents", json=agent)).status_code == 201
    trigger = {
        "name": "Web monitor schedule",
        "type": "cron",
        "config": {"cron": "0 0 1 1 *"},
        "action": {"agent": "page-watcher"},
    }
    assert (await people.editor.post("/triggers", json=trigger)).status_code == 201
    before = await everything(people)
    path = f"{TEMPLATES}/web-monitor/install"
    answer = await people.editor.post(path, json={})
    assert answer.status_code == 409, answer.text
    problem = answer.json()
    assert problem["error"] == "marketplace_names_taken"
    taken = {(one["kind"], one["name"]) for one in problem["details"]["conflicts"]}
    assert taken == {("agent", "page-watcher"), ("trigger", "Web monitor schedule")}
    assert "prefix" in problem["message"]
    tried = (await people.editor.post(path, json={"dry_run": True})).json()
    assert (tried["status"], len(tried["conflicts"])) == ("would_conflict", 2)
    assert await everything(people) == before

    result = await install(people, "web-monitor", prefix="site")
    assert {thing["name"] for thing in result["things"]} == {
        "site-page-watcher",
        "site Web monitor",
        "site Web monitor schedule",
    }
    assert result["example"]["execution"]["workflow_id"] == "site Web monitor"
    (workflow,) = made(result, "workflow")
    validity = await people.viewer.post(f"/workflows/{workflow['id']}/validate")
    assert validity.json()["valid"], validity.text
    await uninstall(people, "web-monitor")
    assert await everything(people) == before


async def test_what_people_changed_is_kept_with_what_it_uses(people: People) -> None:
    result = await install(people, "document-question-answering")
    (crew,) = made(result, "crew")
    (prompt,) = made(result, "prompt")
    checker, answerer = sorted(made(result, "agent"), key=lambda one: one["name"])
    changed = await people.editor.patch(f"/crews/{crew['id']}", json={"description": "Ours"})
    assert changed.status_code == 200, changed.text
    assert (await people.editor.delete(f"/agents/{answerer['id']}")).status_code == 204

    (installation,) = (await people.viewer.get("/marketplace/installations")).json()["items"]
    states = {thing["id"]: thing["state"] for thing in installation["things"]}
    assert states == {
        crew["id"]: "changed",
        answerer["id"]: "missing",
        checker["id"]: "unchanged",
        prompt["id"]: "unchanged",
    }
    removed = await uninstall(people, "document-question-answering")
    assert [one["id"] for one in removed["removed"]] == [prompt["id"]]
    assert [one["id"] for one in removed["missing"]] == [answerer["id"]]
    reasons = {one["id"]: one["reason"] for one in removed["kept"]}
    assert "changed" in reasons[crew["id"]]
    assert "crew" in reasons[checker["id"]]
    assert (await people.viewer.get(f"/crews/{crew['id']}")).status_code == 200
    again = await people.editor.post(f"{TEMPLATES}/document-question-answering/install", json={})
    assert again.status_code == 409  # what was kept is the project's own now


async def test_force_removes_what_people_changed_and_use_is_no_change(people: People) -> None:
    other = (await people.editor.post("/agents", json={"name": "Mine"})).json()
    result = await install(people, "code-review")
    reviewer = made(result, "agent")[0]
    await people.editor.patch(f"/agents/{reviewer['id']}", json={"goal": "Ours"})
    removed = await uninstall(people, "code-review", force=True)
    assert (len(removed["removed"]), removed["kept"]) == (3, [])
    assert (await everything(people))["agent"] == [other["id"]]

    result = await install(people, "web-monitor")
    (trigger,), (watcher,) = made(result, "trigger"), made(result, "agent")
    assert (await people.editor.post(f"/triggers/{trigger['id']}/toggle", json={})).is_success
    assert (await people.editor.post(f"/agents/{watcher['id']}/start")).is_success
    assert len((await uninstall(people, "web-monitor"))["removed"]) == 3
    missing = await people.editor.delete(f"{TEMPLATES}/web-monitor/install")
    assert missing.status_code == 404
    assert missing.json()["error"] == "marketplace_template_not_installed"


async def test_parameters_and_model(people: People) -> None:
    parameters = {"url": "https://example.com/news", "cron": "*/30 8-18 * * 1-5"}
    result = await install(people, "web-monitor", parameters=parameters, model="nobody/knows")
    (problem,) = result["problems"]
    assert (problem["kind"], problem["name"]) == ("model", "nobody/knows")
    trigger = (await people.viewer.get(f"/triggers/{made(result, 'trigger')[0]['id']}")).json()
    assert trigger["config"]["cron"] == "*/30 8-18 * * 1-5"
    assert trigger["action"]["inputs"]["url"] == "https://example.com/news"
    agent = (await people.viewer.get(f"/agents/{made(result, 'agent')[0]['id']}")).json()
    assert agent["llm"] == "nobody/knows"
    (installation,) = (await people.viewer.get("/marketplace/installations")).json()["items"]
    assert installation["parameters"]["url"] == "https://example.com/news"
    assert installation["parameters"]["timezone"] == "UTC"
    assert installation["model"] == "nobody/knows"


@pytest.mark.parametrize(
    ("bundle", "body"),
    [
        ("web-monitor", {"parameters": {"addres": "x"}}),
        ("web-monitor", {"parameters": {"url": ""}}),
        ("web-monitor", {"parameters": {"url": 3}}),
        ("compliance-check", {"parameters": {"at_once": "many"}}),
        ("compliance-check", {"parameters": {"at_once": True}}),
        ("compliance-check", {"parameters": {"at_once": 1e300}}),
        ("compliance-check", {"parameters": {"at_once": 0}}),
        ("compliance-check", {"parameters": {"at_once": 1.5}}),
        ("data-report", {"parameters": {"separator": "tab"}}),
        ("data-report", {"prefix": "no spaces"}),
        ("data-report", {"unknown": 1}),
        ("data-report", {"model": ""}),
    ],
)
async def test_what_does_not_fit_is_refused(
    people: People, bundle: str, body: dict[str, Any]
) -> None:
    before = await everything(people)
    answer = await people.editor.post(f"{TEMPLATES}/{bundle}/install", json=body)
    assert answer.status_code == 422, answer.text
    assert await everything(people) == before


async def test_roles_and_projects(people: People) -> None:
    path = f"{TEMPLATES}/data-report/install"
    for person in (people.viewer, people.operator):
        assert (await person.post(path, json={})).status_code == 403
        assert (await person.delete(path)).status_code == 403
    await install(people, "data-report")
    assert (await people.outsider.get("/marketplace/installations")).json()["items"] == []
    assert (await people.outsider.delete(path)).status_code == 404
    theirs = await people.outsider.post(path, json={})
    assert theirs.json()["status"] == "installed", theirs.text
    assert (await people.outsider.delete(path)).status_code == 200
    assert (await people.viewer.get("/marketplace/installations")).json()["total"] == 1


async def test_a_key_makes_only_what_its_scopes_allow(people: People) -> None:
    body = {"name": "Installer", "scopes": ["marketplace:write", "agents:write"]}
    key = (await people.editor.post("/security/api-keys", json=body)).json()
    headers = {
        "Authorization": f"Bearer {key['key']}",
        "X-Project-Id": people.project_id,
    }
    path = f"{TEMPLATES}/data-report/install"
    refused = await people.outsider.post(path, json={"dry_run": True}, headers=headers)
    assert refused.status_code == 403, refused.text
    assert "workflows:write" in refused.json()["detail"]


async def test_every_agent_uses_the_model_that_is_named(
    people: People, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="call", replies=[Reply(text="The answer of a model.")])
    result = await install(people, "research-crew", model="openai/scripted-large")
    answer = await people.operator.post("/executions", json=result["example"]["execution"])
    run = await until(people.viewer, answer.json()["execution_id"])
    assert (run["status"], run["result"]) == ("completed", "The answer of a model."), run
    assert len(scripted.calls) >= 3


async def test_the_monitor_fetches_its_page(people: People) -> None:
    echo = EchoServer()
    echo.pages["news"] = ("<h1>News</h1><p>A recall of type 7 began on 3 May.</p>", "text/html")
    async with serve(echo.app) as base_url:
        url = f"{base_url}/page/news"
        parameters = {"url": url, "watch_for": "recall"}
        await install(people, "web-monitor", parameters=parameters)
        answer = await people.operator.post("/executions", json={"workflow_id": "Web monitor"})
        run = await until(people.viewer, answer.json()["execution_id"])
    assert run["status"] == "completed", run
    assert (run["result"]["url"], run["result"]["matched"]) == (url, ["recall"])
    assert "3 May" in run["result"]["quoted"]


async def test_a_task_of_a_bundle_waits_to_be_run(people: People) -> None:
    result = await install(people, "meeting-minutes")
    (task,) = made(result, "task")
    assert (await people.viewer.get(f"/tasks/{task['id']}")).json()["status"] == "draft"
    inputs = {"transcript": "Ida: An action item for Tom is to call the bank until Monday."}
    body = {"task_id": task["id"], "inputs": inputs}
    answer = await people.operator.post("/executions", json=body)
    assert answer.status_code == 201, answer.text
    run = await until(people.viewer, answer.json()["execution_id"])
    assert "Tom" in run["result"], run


async def test_a_review_that_is_rejected_files_nothing(people: People) -> None:
    result = await install(people, "code-review")
    answer = await people.operator.post("/executions", json=result["example"]["execution"])
    run_id = answer.json()["execution_id"]
    approval = await open_approval(people.operator, run_id)
    body = {"reason": "Not thorough."}
    rejected = await people.operator.post(f"/approvals/{approval['id']}/reject", json=body)
    assert rejected.status_code == 200, rejected.text
    assert (await until(people.viewer, run_id))["status"] == "rejected"


async def test_a_report_is_never_made_of_part_of_a_table(people: People) -> None:
    result = await install(people, "data-report")
    rows = "\n".join(f"North,{number}" for number in range(2_500))
    body = {
        **result["example"]["execution"],
        "inputs": {"file": "sales.csv", "value": "revenue", "group": "region"},
        "files": [{"path": "sales.csv", "content": f"region,revenue\n{rows}\n"}],
    }
    answer = await people.operator.post("/executions", json=body)
    run = await until(people.viewer, answer.json()["execution_id"])
    assert run["result"].startswith("sales.csv has 2501 lines"), run["result"]
    rows = "\n".join(f"North,{number}" for number in range(1_500))
    body["files"] = [{"path": "sales.csv", "content": f"region,revenue\n{rows}\n"}]
    answer = await people.operator.post("/executions", json=body)
    run = await until(people.viewer, answer.json()["execution_id"])
    assert "1124250" in run["result"], run


@pytest.mark.parametrize("text", ["a\x00b", "{{ 1 +", "[[model]]", "{", "x" * 2_001])
async def test_odd_parameters_are_no_accident(people: People, text: str) -> None:
    body = {"parameters": {"url": text, "watch_for": text}}
    answer = await people.editor.post(f"{TEMPLATES}/web-monitor/install", json=body)
    assert answer.status_code in {200, 400, 422}, answer.text
