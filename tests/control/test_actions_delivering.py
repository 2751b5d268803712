"""Actions deliver: by webhook, e-mail and chat, until it has arrived or is given up."""

import asyncio
from datetime import timedelta

import pytest

from muster.domains.control.breakers import Barred, Circuits, breaker_of
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.kernel.settings import Settings
from tests.adapters.channels_setting import Mailbox, Receiver
from tests.control.actions_setting import (
    broken,
    delivered,
    deliveries,
    hook,
    made,
    mailbox,
    one,
    receiver,
    settings,
    told,
)
from tests.support.people import People
from tests.work.external_setting import code

__all__ = ["mailbox", "receiver", "settings"]

pytestmark = pytest.mark.anyio


async def test_a_webhook_tells_of_an_incident(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    action = await made(people.editor, config=hook(receiver))
    agent = (await people.editor.post("/agents", json={"name": "Invoices"})).json()
    incident = await broken(muster, people.project_id, agent_id=agent["id"])
    await delivered(muster)
    (call,) = receiver.calls
    assert (call.path, call.query) == ("/in/geheim", "token=geheim")
    assert call.headers["authorization"] == "Bearer sehr-geheim"
    assert call.is_signed_with(action["secret"])
    (event,) = await told(people.viewer, "incident.")
    message = call.message
    assert (message["id"], message["type"]) == (event["id"], "incident.opened")
    assert message["project_id"] == people.project_id
    assert message["action"] == {"id": action["id"], "name": "Tell"}
    assert message["data"]["agent"] == {
        "id": agent["id"],
        "key": agent["key"],
        "name": "Invoices",
    }
    assert message["data"]["url"] == (f"https://muster.example.com/api/v1/incidents/{incident.id}")
    told_of = message["data"]["incident"]
    assert (told_of["id"], told_of["severity"], told_of["count"]) == (incident.id, "high", 1)
    assert "inner detail" not in call.body.decode()
    delivery = await one(people.viewer)
    assert delivery["id"] == call.headers["webhook-id"]
    assert (delivery["event_id"], delivery["event_seq"]) == (event["id"], message["sequence"])
    assert delivery["message"] == message
    assert (await deliveries(people.viewer, f"/{action['id']}"))[0]["id"] == delivery["id"]


async def test_a_server_that_fails_and_recovers(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    await made(people.editor, config=hook(receiver))
    receiver.answers = [(500, {}), (429, {"Retry-After": "3600"}), (200, {})]
    await broken(muster, people.project_id)
    await delivered(muster)
    await delivered(muster)
    waiting = await one(people.viewer, status="pending")
    assert waiting["next_attempt_at"] > clock.iso(clock.now() + timedelta(minutes=59))
    await delivered(muster)
    arrived = await one(people.viewer, status="delivered")
    assert [(a["outcome"], a["status_code"]) for a in arrived["log"]] == [
        ("failed", 500),
        ("failed", 429),
        ("delivered", 200),
    ]
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    assert [call.message for call in receiver.calls] == [receiver.calls[0].message] * 3


async def test_gone_is_a_dead_letter_until_somebody_retries(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    action = await made(people.editor, config=hook(receiver))
    receiver.answers = [(410, {})]
    await broken(muster, people.project_id)
    await delivered(muster)
    dead = await one(people.viewer, status="dead")
    assert "HTTP 410" in dead["last_error"]
    (event,) = await told(people.viewer, "delivery.")
    assert (event["type"], event["data"]["source_id"]) == ("delivery.dead", action["id"])
    path = f"/actions/deliveries/{dead['id']}/retry"
    assert (await people.operator.post(path)).status_code == 403
    answer = await people.editor.post(path)
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    assert code(await people.editor.post(path)) == (409, "delivery_not_dead")
    await delivered(muster)
    arrived = await one(people.viewer)
    assert (arrived["status"], arrived["attempts"]) == ("delivered", 2)


async def test_a_disabled_action_delivers_nothing_any_more(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    action = await made(people.editor, config=hook(receiver))
    await broken(muster, people.project_id)
    await people.editor.put(f"/actions/{action['id']}", json={"enabled": False})
    await delivered(muster)
    dead = await one(people.viewer)
    assert (dead["status"], receiver.calls) == ("dead", [])
    assert "disabled" in dead["last_error"]


async def test_an_open_breaker_postpones(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    await made(people.editor, config=hook(receiver))
    opened = await people.admin.post("/circuit-breakers/host:127.0.0.1/force-open")
    assert opened.status_code == 200, opened.text
    await broken(muster, people.project_id)
    await delivered(muster)
    waiting = await one(people.viewer)
    assert (waiting["status"], waiting["attempts"], waiting["log"]) == ("pending", 0, [])
    assert "circuit breaker host:127.0.0.1 is open" in waiting["last_error"]
    assert receiver.calls == []
    await people.admin.post("/circuit-breakers/host:127.0.0.1/force-close")
    await delivered(muster)
    assert (await one(people.viewer))["status"] == "delivered"


async def test_failures_open_the_breaker_of_the_host(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    action = await made(people.editor, config=hook(receiver))
    receiver.answers = [(503, {})] * 5
    for _ in range(5):
        await people.editor.post(f"/actions/{action['id']}/test")
    circuits = Circuits(muster.database, muster.live, muster.settings.breakers)
    breaker = breaker_of("host:127.0.0.1", people.project_id)
    assert isinstance(await circuits.admit(breaker), Barred)
    tried = (await people.editor.post(f"/actions/{action['id']}/test")).json()
    assert (tried["delivered"], len(receiver.calls)) == (False, 5)
    assert "circuit breaker" in tried["error"]


async def test_a_breaker_is_probed_by_one_delivery(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    """While one delivery finds out whether the host is back, others wait, and not for long."""
    await made(people.editor, config=hook(receiver))
    name = "/circuit-breakers/host:127.0.0.1"
    body = {"name": "host:127.0.0.1", "failure_threshold": 1, "open_s": 0.001}
    assert (await people.admin.post("/circuit-breakers", json=body)).status_code == 200
    receiver.answers = [(503, {})]
    await broken(muster, people.project_id)
    await delivered(muster)
    receiver.gate, receiver.entered = asyncio.Event(), asyncio.Event()
    probing = asyncio.create_task(delivered(muster))
    async with asyncio.timeout(20):
        await receiver.entered.wait()
        await broken(muster, people.project_id, policy_name="another", policy_id=None)
        await broken(muster, people.project_id, policy_name="third", policy_id=None)
        assert await muster.courier.once() == 2
        receiver.gate.set()
        await probing
    assert len(receiver.calls) == 2
    states = [d["status"] for d in await deliveries(people.viewer)]
    assert sorted(states) == ["delivered", "pending", "pending"]
    while "pending" in states:
        await delivered(muster)
        states = [d["status"] for d in await deliveries(people.viewer)]
    assert (await people.admin.post(f"{name}/reset")).status_code == 200


async def test_an_e_mail_tells_of_an_incident(
    muster: Muster, people: People, mailbox: Mailbox
) -> None:
    to = ["a@example.com", "b@example.com"]
    action = await made(people.editor, "email", config={"to": to})
    assert (action["config"], action["secret"]) == ({"to": to}, None)
    await made(people.editor, "email", name="Own words", config={"to": to[:1], "subject": "Help"})
    incident = await broken(muster, people.project_id)
    await delivered(muster)
    by_subject = {str(letter["Subject"]): letter for letter in mailbox.letters}
    subject = "[Muster] High incident opened: Policy No raw e-mails was broken"
    assert set(by_subject) == {subject, "Help"}
    assert to in mailbox.recipients
    text = by_subject[subject].get_content()
    for words in ("No raw e-mails", "agent-1", "production", "It was blocked.", incident.id):
        assert words in text
    assert "inner detail" not in text
    tried = (await people.editor.post(f"/actions/{action['id']}/test")).json()
    assert tried["delivered"] is True
    assert "This is a sample" in mailbox.letters[-1].get_content()


async def test_a_chat_tells_of_an_incident(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    token = "g" * 24
    url = f"mmost://{receiver.url.removeprefix('http://')}/{token}"
    action = await made(people.editor, "chat", config={"url": url})
    assert action["config"] == {"url": "mmost://***"}
    assert token not in str(action)
    await broken(muster, people.project_id)
    await delivered(muster)
    (call,) = receiver.calls
    assert call.path == f"/hooks/{token}"
    assert "High incident opened" in call.body.decode()
    kept = await people.editor.put(
        f"/actions/{action['id']}", json={"config": {"url": "mmost://***"}}
    )
    assert kept.status_code == 200, kept.text
    assert (await people.editor.post(f"/actions/{action['id']}/test")).json()["delivered"] is True
    assert receiver.calls[-1].path == f"/hooks/{token}"


async def test_a_test_says_what_happened(people: People, receiver: Receiver) -> None:
    action = await made(people.editor, config=hook(receiver), enabled=False)
    receiver.answers = [(202, {}), (404, {})]
    path = f"/actions/{action['id']}/test"
    taken = (await people.editor.post(path)).json()
    assert (taken["delivered"], taken["status_code"], taken["error"]) == (True, 202, None)
    (call,) = receiver.calls
    assert (call.message["test"], call.headers["webhook-id"]) == (True, taken["message_id"])
    assert call.is_signed_with(action["secret"])
    missing = (await people.editor.post(path)).json()
    assert (missing["delivered"], missing["status_code"]) == (False, 404)
    assert await deliveries(people.viewer) == []


async def test_the_worker_delivers_by_itself(
    settings: Settings, people: People, receiver: Receiver
) -> None:
    """In a process that works nobody has to ask."""
    action = await made(people.editor, config=hook(receiver))
    async with Muster(settings, engine="work") as working:
        await broken(working, people.project_id)
        async with asyncio.timeout(10):
            while not await deliveries(people.viewer, status="delivered"):
                await asyncio.sleep(0.02)
    assert receiver.calls[0].is_signed_with(action["secret"])
