"""Agents that run elsewhere: keys, registrations and steps for tests."""

from collections.abc import Callable
from typing import Any

import httpx2

Connect = Callable[..., httpx2.AsyncClient]


async def agent_client(person: httpx2.AsyncClient, connect: Connect) -> httpx2.AsyncClient:
    """Return a client that calls with a new agent key of a person."""
    answer = await person.post("/auth/api-keys", json={"name": "agent"})
    assert answer.status_code == 201, answer.text
    return connect(Authorization=f"Bearer {answer.json()['key']}")


async def registered(client: httpx2.AsyncClient, key: str = "invoices", **fields: Any) -> str:
    """Register an agent and return its id."""
    answer = await client.post("/agents", json={"agent_key": key, "name": "Invoices", **fields})
    assert answer.status_code in {200, 201}, answer.text
    return str(answer.json()["agent_id"])


async def logged(client: httpx2.AsyncClient, agent_id: str, **fields: Any) -> dict[str, Any]:
    """Log a step and return the answer."""
    body = {"agent_id": agent_id, "task_id": "t-1", "kind": "step.resource", "verb": "GET"}
    answer = await client.post("/logs", json={**body, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def steps_of(reader: httpx2.AsyncClient, task_id: str = "t-1", **params: Any) -> list[Any]:
    """Return the steps of a task."""
    answer = await reader.get(f"/logs/tasks/{task_id}", params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def code(answer: httpx2.Response) -> tuple[int, str]:
    """Return the status and the code of a problem."""
    return answer.status_code, answer.json()["error"]
