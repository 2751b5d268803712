"""One real object for every parameter of a path, by the part of the path that names it.

A new resource needs a line here; the sweeps fail with its name until it has one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from muster.domains.insight.reports import ReportMaker
from muster.engine import Job, JobContext
from muster.kernel.ids import new_id

if TYPE_CHECKING:
    from tests.sweeps.world import World

BASE = "/api/v1"
Make = Callable[["World", str, dict[str, str]], str]
"""Makes an object as the person, given the parameters before it, and returns its id."""


@dataclass(frozen=True, slots=True)
class Factory:
    """How to make an object.

    Args:
        make: Makes it.
        shared: Why it belongs to no project, if so.
    """

    make: Make
    shared: str | None = None


def _posted(path: str, body: Callable[[], dict[str, Any]], field: str = "id") -> Make:
    def make(world: "World", person: str, given: dict[str, str]) -> str:
        target = path.format_map(given)
        answer = world.call("POST", BASE + target, person, json=body())
        assert answer.status == 201, f"POST {target}: {answer}"
        return str(answer.json()[field])

    return make


def _agent() -> dict[str, Any]:
    return {"name": f"Agent {new_id()}", "llm": "builtin/extractive", "tools": ["calculator"]}


def _run(world: "World", person: str, given: dict[str, str]) -> str:
    agent = _posted("/agents", _agent)(world, person, given)
    start = _posted("/executions", lambda: {"agent_id": agent}, "execution_id")
    return start(world, person, given)


def _member(world: "World", person: str, given: dict[str, str]) -> str:
    user = world.add_user()
    body = {"user_id": user, "role": "viewer"}
    return _posted("/projects/{project_id}/members", lambda: body, "user_id")(world, person, given)


def _event(world: "World", person: str, given: dict[str, str]) -> str:
    _posted("/agents", _agent)(world, person, given)
    return str(world.call("GET", BASE + "/events", person).json()["items"][0]["id"])


def _access_rule(world: "World", _: str, __: dict[str, str]) -> str:
    body = {
        "scope_type": "user",
        "scope_id": world.accounts.ids["viewer"],
        "resource_type": "model",
        "resource_id": f"nobody/{new_id()}",
        "effect": "deny",
    }
    answer = world.call("POST", BASE + "/policy/rules", "superadmin", json=body)
    assert answer.status == 201, answer
    return str(answer.json()["rule"]["id"])


def _user(world: "World", _: str, __: dict[str, str]) -> str:
    return world.add_user()


_KEY = _posted("/security/api-keys", lambda: {"name": f"Key {new_id()}"})
_ACCOUNT = Factory(_user, shared="accounts are of the whole platform")


def policy() -> dict[str, Any]:
    """A policy that nothing breaks."""
    return {
        "name": f"Policy {new_id()}",
        "rule_type": "execution_max_steps",
        "params": {"step_type": "step.model", "max_steps": 1000},
        "severity": "low",
        "scope": "step_execution",
    }


def _incident(world: "World", person: str, given: dict[str, str]) -> str:
    agent = _posted("/agents", _agent)(world, person, given)
    broken = {"policy_name": "Policy", "severity": "low"}
    body = {"agent_id": agent, "action": "warn", "violations": [broken]}
    answer = world.call("POST", BASE + "/incidents", person, json=body)
    assert answer.status == 201, f"POST /incidents: {answer}"
    return str(answer.json()["incidents"][0]["id"])


def webhook(**on: list[str]) -> dict[str, Any]:
    """An action that posts to where nobody is."""
    return {
        "name": f"Action {new_id()}",
        "kind": "webhook",
        "config": {"url": "http://127.0.0.1:9/in"},
        "on": on,
    }


def workflow() -> dict[str, Any]:
    """A workflow of one step."""
    step = {"name": "First", "step_type": "transform", "config": {"assign": {"x": "1"}}}
    return {"name": f"Workflow {new_id()}", "steps": [step]}


def _agent_project(world: "World", person: str, _: dict[str, str]) -> str:
    body = {"name": f"Agent project {new_id()}"}
    answer = world.call("POST", BASE + "/agent-projects", person, json=body)
    assert answer.status == 201, answer
    return str(answer.json()["agent_project"]["id"])


def _delivery(world: "World", person: str, given: dict[str, str]) -> str:
    agent = _posted("/agents", _agent)(world, person, given)
    action = _posted("/actions", lambda: webhook(agent_ids=[agent]))(world, person, given)
    broken = {"policy_name": "Policy", "severity": "low"}
    body = {"agent_id": agent, "action": "warn", "violations": [broken]}
    answer = world.call("POST", BASE + "/incidents", person, json=body)
    assert answer.status == 201, f"POST /incidents: {answer}"
    sent = world.call("GET", f"{BASE}/actions/{action}/deliveries", person)
    return str(sent.json()["items"][0]["id"])


def _installed(world: "World", person: str, _: dict[str, str]) -> str:
    path = f"{BASE}/marketplace/templates/web-monitor/install"
    answer = world.call("POST", path, person)
    assert answer.status in {200, 403}, answer
    return "web-monitor"


_TEMPLATE = _posted("/templates", lambda: {"name": f"Template {new_id()}", "template": "Say {it}."})
_WORKER = _posted("/workers/register", lambda: {"name": f"Worker {new_id()}"})


def _ready_worker(world: "World", person: str, given: dict[str, str]) -> str:
    """Make a worker that may take tasks."""
    worker = _WORKER(world, person, given)
    approval = f"{BASE}/admin/workers/{worker}/approve"
    answer = world.call("PATCH", approval, "superadmin", json={"is_approved": True})
    assert answer.status == 200, answer
    answer = world.call("POST", f"{BASE}/workers/{worker}/heartbeat", person)
    assert answer.status == 200, answer
    return worker


def _worker_task(world: "World", person: str, given: dict[str, str]) -> str:
    return FACTORIES["/tasks/{task_id}"].make(world, person, given)


def _template_name(world: "World", person: str, given: dict[str, str]) -> str:
    template = _TEMPLATE(world, person, given)
    return str(world.call("GET", f"{BASE}/templates/{template}", person).json()["name"])


def _any_worker(world: "World", _: str, __: dict[str, str]) -> str:
    return _WORKER(world, "owner", {})


def _report(world: "World", person: str, given: dict[str, str]) -> str:
    body = {"format": "json", "from": "2026-01-01", "to": "2027-01-01"}
    answer = world.call("POST", BASE + "/reports", person, json=body)
    assert answer.status == 202, f"POST /reports: {answer}"
    report = str(answer.json()["id"])
    job = Job(id=report, kind="report", payload={"report_id": report, "job": 1}, partition="")
    context = JobContext(job=job, executor_id="sweeps", recovered=False)
    # No engine runs here, and only what is made can be downloaded.
    world.run(ReportMaker(world.muster.report_parts).handle(context))
    return report


def _memory(world: "World", person: str, given: dict[str, str]) -> str:
    agent = _posted("/agents", _agent)(world, person, given)
    return _posted(f"/agents/{agent}/memories", lambda: {"content": "A fact"})(world, person, given)


def _participant(world: "World", person: str, given: dict[str, str]) -> str:
    agent = _posted("/agents", _agent)(world, person, given)
    path = "/collaboration/{collaboration_id}/participants"
    _posted(path, lambda: {"agent_id": agent})(world, person, given)
    return agent


def webhook_trigger() -> dict[str, Any]:
    """A trigger that starts what nobody has."""
    return {"name": f"Trigger {new_id()}", "type": "webhook", "action": {"agent": "nobody"}}


def _failed_firing(world: "World", person: str, given: dict[str, str]) -> str:
    """Let a trigger fail: what its inputs read is not there."""
    path = f"{BASE}/triggers/{given['trigger_id']}"
    broken = {"action": {"agent": "nobody", "inputs": {"prompt": "{{ payload.gone }}"}}}
    assert world.call("PATCH", path, person, json=broken).status == 200
    answer = world.call("POST", f"{path}/fire", person)
    assert answer.status == 202, f"POST {path}/fire: {answer}"
    return str(answer.json()["id"])


def schedule() -> dict[str, Any]:
    """A schedule that comes once a year."""
    name = f"Schedule {new_id()}"
    return {"name": name, "cron_expression": "0 0 1 1 *", "crew_id": "nobody"}


def _dead_letter(world: "World", person: str, given: dict[str, str]) -> str:
    run = _run(world, person, given)
    assert world.call("POST", f"{BASE}/executions/{run}/cancel", person).status == 200
    return _posted("/dead-letter", lambda: {"run_id": run})(world, "superadmin", given)


FACTORIES: dict[str, Factory] = {
    "/security/api-keys/{key_id}": Factory(_KEY),
    "/auth/api-keys/{key_id}": Factory(_KEY),
    "/users/{user_id}": _ACCOUNT,
    "/admin/users/{user_id}": _ACCOUNT,
    "/projects/{project_id}": Factory(_posted("/projects", lambda: {"name": f"P {new_id()}"})),
    "/projects/{project_id}/members/{user_id}": Factory(_member),
    "/api-keys/{key_id}": Factory(
        _posted("/api-keys", lambda: {"name": f"Secret {new_id()}", "value": "hidden"})
    ),
    "/models/{model_name}": Factory(
        _posted("/models", lambda: {"name": f"model-{new_id()}", "provider": "openai"})
    ),
    "/tools/{tool_id}": Factory(
        _posted(
            "/tools",
            lambda: {
                "name": f"tool-{new_id()}",
                "tool_type": "http",
                "configuration": {"url": "http://127.0.0.1:9/nothing"},
            },
        )
    ),
    "/templates/{template_id}": Factory(_TEMPLATE),
    "/templates/by-name/{name}": Factory(_template_name),
    "/templates/{template_id}/versions/{version}": Factory(
        lambda _, __, ___: "1", shared="a number, which means something only with its template"
    ),
    "/workers/{worker_id}": Factory(_ready_worker),
    "/workers/{worker_id}/tasks/{task_id}": Factory(_worker_task),
    "/admin/workers/{worker_id}": Factory(
        _any_worker, shared="admins look after the workers of all projects"
    ),
    "/agents/{agent_id}": Factory(_posted("/agents", _agent)),
    "/agents/{agent_id}/versions/{version}": Factory(
        lambda _, __, ___: "1", shared="a number, which means something only with its agent"
    ),
    "/crews/{crew_id}": Factory(_posted("/crews", lambda: {"name": f"Crew {new_id()}"})),
    "/tasks/{task_id}": Factory(_posted("/tasks", lambda: {"name": f"Task {new_id()}"})),
    "/agents/memories/{memory_id}": Factory(_memory),
    "/messages/{message_id}": Factory(
        _posted("/messages/send", lambda: {"channel": "general", "body": f"Message {new_id()}"})
    ),
    "/collaboration/{collaboration_id}": Factory(
        _posted("/collaboration", lambda: {"name": f"Session {new_id()}"})
    ),
    "/collaboration/{collaboration_id}/participants/{agent_id}": Factory(_participant),
    "/code-reviews/{review_id}": Factory(
        _posted("/code-reviews", lambda: {"title": f"Review {new_id()}", "diff": "+x = 1"})
    ),
    "/workflows/{workflow_id}": Factory(_posted("/workflows", workflow)),
    "/workflows/{workflow_id}/steps/{step}": Factory(
        lambda _, __, ___: "First", shared="a name, which means something only with its workflow"
    ),
    "/workflows/{workflow_id}/versions/{version}": Factory(
        lambda _, __, ___: "1", shared="a number, which means something only with its workflow"
    ),
    "/agent-projects/{agent_project_id}": Factory(_agent_project),
    "/executions/{execution_id}": Factory(_run),
    "/execution-history/{execution_id}": Factory(_run),
    "/execution-logs/{execution_id}": Factory(_run),
    "/execution-trace/{execution_id}": Factory(_run),
    "/logs/tasks/{task_id}": Factory(_run),
    "/approvals/{approval_id}": Factory(
        _posted("/approvals", lambda: {"title": f"Approval {new_id()}"})
    ),
    "/policies/{policy_id}": Factory(_posted("/policies", policy)),
    "/policy-templates/{template_id}": Factory(
        lambda _, __, ___: "starter", shared="it ships with the product"
    ),
    "/incidents/{incident_id}": Factory(_incident),
    "/marketplace/templates/{template_id}": Factory(
        _installed, shared="it ships with the product; what it makes is the project's"
    ),
    "/actions/{action_id}": Factory(_posted("/actions", webhook)),
    "/actions/deliveries/{delivery_id}": Factory(_delivery),
    "/budgets/{budget_id}": Factory(
        _posted(
            "/budgets",
            lambda: {"name": "Budget", "scope": "agent", "target_id": new_id(), "limit": 1},
        )
    ),
    "/circuit-breakers/{name}": Factory(
        lambda _, __, ___: f"tool:{new_id()}", shared="every name stands for one in each project"
    ),
    "/policy/rules/{rule_id}": Factory(_access_rule, shared="they hold on the whole platform"),
    "/triggers/{trigger_id}": Factory(_posted("/triggers", webhook_trigger)),
    "/triggers/{trigger_id}/history/{firing_id}": Factory(_failed_firing),
    "/hooks/{trigger_id}": Factory(
        _posted("/triggers", webhook_trigger), shared="who calls proves itself by a secret"
    ),
    "/scheduler/schedules/{schedule_id}": Factory(_posted("/scheduler/schedules", schedule)),
    "/dead-letter/{letter_id}": Factory(
        _dead_letter, shared="only admins of the platform may name one"
    ),
    "/reports/{report_id}": Factory(_report),
    "/events/{event_id}": Factory(_event),
}
FACTORIES["/tools/configurations/{tool_name}"] = FACTORIES["/tools/{tool_id}"]


def resource_of(path: str, parameter: str) -> str:
    """Return the part of the path that names the resource of a parameter."""
    return re.sub(rf"(\{{{parameter}\}}).*", r"\1", path.removeprefix(BASE))


def factory_of(path: str, parameter: str) -> Factory:
    """Return how to make an object for a parameter of a path."""
    resource = resource_of(path, parameter)
    assert resource in FACTORIES, (
        f"{resource} is a new resource: say in tests/sweeps/factories.py how a real one is made"
    )
    return FACTORIES[resource]
