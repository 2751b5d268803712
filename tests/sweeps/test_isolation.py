"""Isolation: two projects with the same names in them; neither sees anything of the other."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sweeps.conftest import NewWorld
from tests.sweeps.document import OPERATIONS, Operation, each, resolved
from tests.sweeps.factories import BASE, policy, schedule, webhook, workflow
from tests.sweeps.world import World

SAME = "The same name"
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/agents", {"name": SAME, "key": "same", "llm": "builtin/extractive"}),
    ("/actions", {**webhook(), "name": SAME}),  # before the incidents, so that there is a delivery
    (
        "/incidents",
        {
            "agent_id": "same",
            "action": "warn",
            "violations": [{"policy_name": SAME, "severity": "low"}],
        },
    ),
    ("/policies", {**policy(), "name": SAME}),
    ("/api-keys", {"name": SAME, "value": "the same value"}),
    ("/models", {"name": "same", "provider": "openai"}),
    (
        "/tools",
        {"name": "same", "tool_type": "http", "configuration": {"url": "http://127.0.0.1:9"}},
    ),
    ("/templates", {"name": SAME, "template": "Say {it}."}),
    ("/workers/register", {"name": SAME}),
    ("/messages/send", {"recipient_agent_id": "same", "channel": "same", "body": SAME}),
    ("/collaboration", {"name": SAME, "participants": ["same"]}),
    ("/code-reviews", {"title": SAME, "diff": "+same = 1", "agent_id": "same"}),
    ("/workflows", {**workflow(), "name": SAME}),
    ("/agent-projects", {"name": SAME}),
    ("/marketplace/templates/meeting-minutes/install", {}),
    ("/approvals", {"title": SAME}),
    ("/budgets", {"name": SAME, "limit": 1}),
    ("/crews", {"name": SAME}),
    ("/tasks", {"name": SAME, "agent": "same"}),
    ("/executions", {"agent_id": "same", "run_name": SAME}),
    (
        "/copilot/log",
        {"conversation_id": "same", "node_type": "LLM_CALL", "x-ms-entra-agent-name": SAME},
    ),
    ("/reports", {"title": SAME, "from": "2026-01-01", "to": "2026-02-01"}),
    ("/scheduler/schedules", {**schedule(), "name": SAME}),
    ("/security/api-keys", {"name": SAME}),
    ("/projects", {"name": SAME}),
]
"""What is made in both projects. Where a name is unique, it is so within its project."""

OF_ALL = {"builtin", "environment"}
"""Sources of what every project has: built-in tools and models, those of the environment."""

OF_PLATFORM = {
    "users:read",
    "audit:read",
    "breakers:read",
    "access-rules:read",
    "dead-letters:read",
    "workers:approve",
}
"""Scopes of admins, who look after all projects."""

OF_PLANS = {"draw_execution"}
"""What runs of crews and workflows have, and those of agents, which are made here, have not."""

OF_PERSON = {"profile:read", "api-keys:read", "agent-projects:read"}
"""Scopes of what is the caller's own, whatever the project."""

READABLE = [
    o for o in OPERATIONS if o.method == "GET" and set(o.scopes) - OF_PLATFORM and not o.streams
]


def is_list(operation: Operation) -> bool:
    schema = operation.responses["200"]["content"].get("application/json", {}).get("schema", {})
    return "items" in resolved(schema).get("properties", {})


SHIPPED = {f"{BASE}/marketplace/templates"}
"""Lists of what ships with the product: every project has the same."""

LISTS = [o for o in READABLE if not o.path_parameters and is_list(o) and o.path not in SHIPPED]
OF_PROJECT = [o for o in LISTS if set(o.scopes) - OF_PERSON]
BOTH = ("owner", "outsider")


@pytest.fixture(scope="module")
def world(new_world: NewWorld) -> Iterator[World]:
    """A world in which both projects have the same, and the superadmin is in both."""
    with new_world() as world:
        for person in BOTH:
            for path, body in BODIES:
                answer = world.call("POST", BASE + path, person, json=body)
                assert answer.status in {200, 201, 202}, f"{path}: {answer}"
            assert world.call("GET", BASE + "/audit/checkpoint", person).status == 200
        for run in items(world, "/executions", "owner") + items(world, "/executions", "outsider"):
            end(world, run)
        member = {"user_id": world.accounts.ids["superadmin"], "role": "owner"}
        path = f"{BASE}/projects/{world.project_of('outsider')}/members"
        assert world.call("POST", path, "outsider", json=member).status == 201
        yield world


def end(world: World, run: dict[str, Any]) -> None:
    """End a run, so that the history has one too."""
    person = "owner" if run["group_id"] == world.project_of("owner") else "outsider"
    answer = world.call("POST", f"{BASE}/executions/{run['id']}/cancel", person)
    assert answer.status == 200, answer


def items(world: World, path: str, person: str, **options: Any) -> list[dict[str, Any]]:
    """Return everything that a list shows a person, apart from what every project has."""
    params = {"limit": "200", **options.pop("params", {})}
    answer = world.call(
        "GET", path if path.startswith("/api") else BASE + path, person, params=params, **options
    )
    assert answer.status == 200, answer
    page = answer.json()
    assert not page["has_more"], "the page must be the whole list"
    return [item for item in page["items"] if item.get("source") not in OF_ALL]


def ids_in(value: str) -> set[str]:
    return set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", value))


@pytest.mark.parametrize("operation", each(LISTS))
def test_lists_have_nothing_in_common(world: World, operation: Operation) -> None:
    mine, theirs = (items(world, operation.path, person) for person in BOTH)
    assert mine, "make something in BODIES that this list shows"
    assert theirs
    assert not {i["id"] for i in mine} & {i["id"] for i in theirs}
    assert not ids_in(str(mine)) & ids_in(str(theirs)), "an id of the other project is shown"


@pytest.mark.parametrize("operation", each(OF_PROJECT))
def test_one_person_in_two_projects(world: World, operation: Operation) -> None:
    """A member of both sees one project at a time, the one that the request names."""
    for person in BOTH:
        project = world.project_of(person)
        wanted = {i["id"] for i in items(world, operation.path, person)}
        for way in (
            {"headers": {"x-project-id": project}},
            {"headers": {"group_id": project}},
            {"params": {"group_id": project}},
        ):
            seen = {i["id"] for i in items(world, operation.path, "superadmin", **way)}
            assert seen == wanted


@pytest.mark.parametrize("operation", each(READABLE))
def test_answers_never_show_ids_of_others(world: World, operation: Operation) -> None:
    """Everything that the outsider can read, with the outsider's own objects."""
    theirs = {world.project_of("owner"), world.accounts.ids["owner"]}
    for listed in LISTS:
        theirs |= {str(i["id"]) for i in items(world, listed.path, "owner")}
    path = world.path(operation, "outsider")
    answer = world.perform(operation, "outsider", path=path)
    assert answer.status == (409 if operation.id in OF_PLANS else 200), answer
    assert not ids_in(answer.content.decode()) & theirs
