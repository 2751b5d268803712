"""A platform that is served over HTTP, people who look at it, and agents that use the SDK."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from muster.kernel.settings import Settings
from muster.sdk import Muster
from tests.sdk.served import Served

Agent = Callable[..., Muster]


@dataclass
class Person:
    """Somebody who looks at the platform through HTTP."""

    client: httpx2.Client

    def get(self, path: str, **params: Any) -> Any:
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def steps(self, task_id: str) -> list[Any]:
        """Every step of a task, in order."""
        found: list[Any] = []
        cursor = None
        while True:
            params = {"limit": 200} | ({"cursor": cursor} if cursor else {})
            page = self.get(f"/logs/tasks/{quote(task_id)}", **params)
            found += page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return found

    def is_valid(self, task_id: str) -> bool:
        found = self.get(f"/logs/tasks/{task_id}/verify")
        return bool(found["valid"])

    def status(self, task_id: str) -> str:
        run_id = self.get(f"/logs/tasks/{task_id}/verify")["execution_id"]
        return str(self.get(f"/executions/{run_id}")["status"])

    def forbid(self, step_type: str, enforcement: str, **fields: Any) -> Any:
        """Make a policy that lets no step of a kind be taken."""
        body = {
            "name": f"No {step_type}",
            "rule_type": "execution_max_steps",
            "params": {"step_type": step_type, "max_steps": 0},
            "severity": "high",
            "scope": "step_execution",
            "enforcement": enforcement,
        }
        return self.post("/policies", **(body | fields))


@pytest.fixture(autouse=True)
def without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver of PostgreSQL asks for TLS before it breaks a query off."""
    monkeypatch.setenv("PGSSLMODE", "disable")


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    platform = Served(settings)
    platform.start()
    yield platform
    platform.faults.hold.set()
    platform.stop()


@pytest.fixture
def people(served: Served) -> Iterator[Person]:
    """The owner of the project."""
    assert served.accounts is not None
    headers = {"authorization": f"Bearer {served.accounts.tokens['owner']}"}
    with httpx2.Client(base_url=f"{served.url}/api/v1", headers=headers, timeout=30) as client:
        yield Person(client)


@pytest.fixture
def key(people: Person) -> str:
    """A key of kind agent."""
    return str(people.post("/auth/api-keys", name="agent")["key"])


@pytest.fixture
def agent(served: Served, key: str) -> Iterator[Agent]:
    """Makes clients that give up soon, and closes them."""
    with ExitStack() as stack:

        def make(**fields: Any) -> Muster:
            quick: dict[str, Any] = {
                "interval_s": 0.05,
                "retry_initial_s": 0.02,
                "retry_max_s": 0.1,
            }
            given: dict[str, Any] = {"agent_key": "invoices", "name": "Invoices"} | quick | fields
            muster = Muster(served.url, key, **given)
            stack.callback(muster.close, 0)
            return muster

        yield make
