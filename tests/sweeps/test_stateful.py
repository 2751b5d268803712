"""Sequences of changes to agents and projects, against a model of what should be there."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.sweeps.calling import Answer
from tests.sweeps.conftest import NewWorld
from tests.sweeps.factories import BASE
from tests.sweeps.world import QUIET, World

PERSON = "owner"
SETTINGS = settings(
    max_examples=6,
    stateful_step_count=20,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=QUIET,
)
# No white space at the ends, which is stripped, and nothing that a database cannot keep.
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs", "Cc", "Z"]),
    min_size=1,
    max_size=40,
)
PATCHES = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXTS,
        "goal": st.none() | TEXTS,
        "max_iter": st.integers(1, 1000),
        "tools": st.lists(st.sampled_from(["calculator", "unheard-of"]), unique=True),
        "inputs": st.dictionaries(TEXTS, st.integers(-5, 5) | TEXTS | st.none(), max_size=3),
    },
)
GONE = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def world(new_world: NewWorld) -> Iterator[World]:
    with new_world() as world:
        yield world


class Machine(RuleBasedStateMachine):
    """A machine whose steps are requests in a project of its own."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        made = self.world.call("POST", f"{BASE}/projects", PERSON, json={"name": "Machine"})
        self.project: str = made.json()["id"]

    def ask(self, method: str, path: str, expected: int = 200, **options: Any) -> Answer:
        headers = {"x-project-id": self.project}
        answer = self.world.call(method, BASE + path, PERSON, headers=headers, **options)
        assert answer.status == expected, f"{method} {path}: {answer}"
        return answer

    def teardown(self) -> None:
        self.ask("DELETE", f"/projects/{self.project}", 204)


class Agents(Machine):
    """Agents: every change is a version; a deleted one is only listed, and only if asked for."""

    agents = Bundle("agents")

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.deleted: set[str] = set()

    def shown(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {name: answer[name] for name in ("name", "goal", "max_iter", "tools", "inputs")}

    @rule(target=agents, patch=PATCHES)
    def create(self, patch: dict[str, Any]) -> str:
        made = self.ask("POST", "/agents", 201, json=patch).json()
        default = {"name": "Unnamed Agent", "goal": None, "max_iter": 25, "tools": [], "inputs": {}}
        assert self.shown(made) == default | patch
        assert made["version"] == 1
        self.versions[made["id"]] = [self.shown(made)]
        return made["id"]

    @rule(agent=agents)
    def get(self, agent: str) -> None:
        found = self.ask("GET", f"/agents/{agent}").json()
        assert self.shown(found) == self.versions[agent][-1]
        assert found["version"] == len(self.versions[agent])
        assert found["active"]

    @rule(agent=agents, patch=PATCHES, method=st.sampled_from(["PUT", "PATCH"]))
    def change(self, agent: str, patch: dict[str, Any], method: str) -> None:
        changed = self.ask(method, f"/agents/{agent}", json=patch).json()
        before = self.versions[agent][-1]
        if before | patch != before:
            self.versions[agent].append(before | patch)
        assert self.shown(changed) == self.versions[agent][-1]
        assert changed["version"] == len(self.versions[agent])

    @rule(agent=agents, data=st.data())
    def restore(self, agent: str, data: st.DataObject) -> None:
        versions = self.versions[agent]
        number = data.draw(st.integers(1, len(versions)))
        restored = self.ask("POST", f"/agents/{agent}/versions/{number}/restore").json()
        if versions[number - 1] != versions[-1]:
            versions.append(versions[number - 1])
        assert self.shown(restored) == versions[-1]

    @rule(agent=agents, data=st.data())
    def look_at_a_version(self, agent: str, data: st.DataObject) -> None:
        count = len(self.versions[agent])
        number = data.draw(st.integers(1, count + 1))
        path = f"/agents/{agent}/versions/{number}"
        if number > count:
            assert self.ask("GET", path, 404).error == "agent_version_not_found"
        else:
            spec = self.ask("GET", path).json()["spec"]
            assert self.shown(spec) == self.versions[agent][number - 1]

    @rule(agent=consumes(agents))
    def delete(self, agent: str) -> None:
        self.ask("DELETE", f"/agents/{agent}", 204)
        self.deleted.add(agent)
        for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/start"), ("DELETE", "")):
            body = {} if method == "PATCH" else None
            self.ask(method, f"/agents/{agent}{path}", 404, json=body)

    @rule()
    def ask_for_none(self) -> None:
        for method in ("GET", "PATCH", "DELETE"):
            body = {} if method == "PATCH" else None
            assert self.ask(method, f"/agents/{GONE}", 404, json=body).error == "agent_not_found"

    @invariant()
    def lists_are_right(self) -> None:
        listed = self.ask("GET", "/agents", params={"limit": "200"}).json()
        active = [agent for agent in self.versions if agent not in self.deleted]
        assert [item["id"] for item in listed["items"]] == active[::-1]
        assert listed["total"] == len(active)
        params = {"limit": "200", "include_inactive": "true"}
        everything = self.ask("GET", "/agents", params=params).json()["items"]
        assert [item["id"] for item in everything] == list(self.versions)[::-1]
        assert {item["id"] for item in everything if not item["active"]} == self.deleted


class Projects(Machine):
    """Projects: one's own are listed, the last owner stays, what is deleted is gone."""

    projects = Bundle("projects")

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, tuple[str, str | None]] = {}
        self.before = {p["id"] for p in self.listed()}

    def listed(self) -> list[dict[str, Any]]:
        found = self.ask("GET", "/projects", params={"limit": "200"}).json()
        assert not found["has_more"]
        return found["items"]

    @initialize(target=projects)
    def begin(self) -> Any:
        return multiple()

    @rule(target=projects, name=TEXTS, description=st.none() | TEXTS)
    def create(self, name: str, description: str | None) -> str:
        body = {"name": name, "description": description}
        made = self.ask("POST", "/projects", 201, json=body).json()
        assert made["role"] == "owner"
        self.names[made["id"]] = (name, description)
        return made["id"]

    @rule(project=projects)
    def get(self, project: str) -> None:
        found = self.ask("GET", f"/projects/{project}").json()
        assert (found["name"], found["description"]) == self.names[project]

    @rule(project=projects, name=TEXTS)
    def rename(self, project: str, name: str) -> None:
        changed = self.ask("PATCH", f"/projects/{project}", json={"name": name}).json()
        assert changed["name"] == name
        self.names[project] = (name, self.names[project][1])

    @rule(project=projects, description=st.none() | TEXTS)
    def describe(self, project: str, description: str | None) -> None:
        body = {"description": description}
        assert self.ask("PUT", f"/projects/{project}", json=body).json()["description"] == (
            description
        )
        self.names[project] = (self.names[project][0], description)

    @rule(project=projects)
    def leave_it_without_owner(self, project: str) -> None:
        path = f"/projects/{project}/members/{self.world.accounts.ids[PERSON]}"
        assert self.ask("DELETE", path, 409).error == "last_owner"

    @rule(project=consumes(projects))
    def delete(self, project: str) -> None:
        self.ask("DELETE", f"/projects/{project}", 204)
        del self.names[project]
        assert self.ask("GET", f"/projects/{project}", 404).error == "project_not_found"

    @invariant()
    def lists_are_right(self) -> None:
        listed = [p["id"] for p in self.listed() if p["id"] not in self.before]
        assert listed == list(self.names)[::-1]

    def teardown(self) -> None:
        for project in self.names:
            self.ask("DELETE", f"/projects/{project}", 204)
        super().teardown()


@pytest.mark.parametrize("machine", [Agents, Projects])
def test_sequences_of_changes(world: World, machine: type[Machine]) -> None:
    bound = type(machine.__name__, (machine,), {"world": world})
    run_state_machine_as_test(bound, settings=SETTINGS)
