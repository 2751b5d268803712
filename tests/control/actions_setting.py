"""What the tests of actions share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from muster.domains.control.incidents import Incident, Violation, report
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.settings import Settings, SmtpSettings
from muster.platform.access import Caller
from muster.platform.deliveries import Delivery
from tests.adapters.channels_setting import Mailbox, Receiver, mail_server, receiving
from tests.conftest import settings_of

HEADERS = {"Authorization": "Bearer sehr-geheim", "X-Team": "red-geheim"}
POLICY = "0198a6f2-7c1e-7d35-9c55-000000000001"


async def made(
    client: httpx2.AsyncClient, kind: str = "webhook", name: str = "Tell", **given: Any
) -> dict[str, Any]:
    """Make an action."""
    answer = await client.post("/actions", json={"name": name, "kind": kind, **given})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def broken(muster: Muster, project_id: str, **given: Any) -> Incident:
    """Break a policy; the first time an incident is opened."""
    values = {
        "project_id": project_id,
        "policy_id": POLICY,
        "policy_name": "No raw e-mails",
        "rule_type": "pii_in_request",
        "severity": "high",
        "agent_id": "agent-1",
        "environment": "production",
        "task_id": "t-1",
        "step_name": "send",
        "step_kind": "step.message",
        "action": "block",
        "details": {"found": "inner detail"},
    }
    violation = Violation(**{**values, **given})
    async with muster.database.write() as session:
        (incident,) = await report(session, Caller.system(project_id), [violation])
    return incident


async def delivered(muster: Muster) -> int:
    """Let everything that waits be attempted now; returns how many attempts were made."""
    async with muster.database.write() as session:
        waiting = update(Delivery).where(Delivery.status == "pending")
        await session.execute(waiting.values(due_at=clock.now()))
    return await muster.courier.once()


async def deliveries(client: httpx2.AsyncClient, path: str = "", **params: Any) -> list[Any]:
    """Return deliveries, newest first."""
    answer = await client.get(f"/actions{path}/deliveries", params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def detail(client: httpx2.AsyncClient, delivery_id: str) -> dict[str, Any]:
    """Return a delivery with its attempts."""
    answer = await client.get(f"/actions/deliveries/{delivery_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def told(client: httpx2.AsyncClient, *prefixes: str) -> list[dict[str, Any]]:
    """Return events, oldest first."""
    answer = await client.get("/events", params={"limit": 200})
    events = list(reversed(answer.json()["items"]))
    return [event for event in events if event["type"].startswith(prefixes or ("",))]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def settings(database_url: str, tmp_path: Path, mailbox: Mailbox) -> Settings:
    smtp = SmtpSettings(host="127.0.0.1", port=mailbox.port, sender="m@example.com", tls="none")
    return settings_of(database_url, tmp_path).model_copy(
        update={"smtp": smtp, "public_url": "https://muster.example.com/"}
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


def hook(receiver: Receiver, **given: Any) -> dict[str, Any]:
    return {"url": f"{receiver.url}/in/geheim?token=geheim", "headers": HEADERS, **given}


async def one(client: httpx2.AsyncClient, **params: Any) -> dict[str, Any]:
    (found,) = await deliveries(client, **params)
    return await detail(client, found["id"])
