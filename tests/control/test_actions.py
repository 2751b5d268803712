"""Actions: made, changed, deleted, and their secrets kept safe."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from muster.domains.control.actions.hidden import Hidden, masked_url
from muster.entrypoints.assembly import Muster
from muster.kernel import clock
from muster.platform.events import EventRecord
from tests.adapters.channels_setting import Receiver
from tests.control.actions_setting import (
    HEADERS,
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

SECRETS = ("geheim", "whsec_")


async def test_a_webhook_is_made_and_its_secret_shown_once(
    people: People, receiver: Receiver
) -> None:
    action = await made(people.editor, config=hook(receiver), description="For the team")
    assert action["secret"].startswith("whsec_")
    assert action["on"] == {
        "events": ["incident.opened"],
        "severities": [],
        "min_severity": None,
        "policy_ids": [],
        "agent_ids": [],
        "environments": [],
    }
    assert action["config"] == {
        "url": f"{receiver.url}/***",
        "headers": {"Authorization": "***", "X-Team": "***"},
    }
    path = f"/actions/{action['id']}"
    read = (await people.viewer.get(path)).json()
    assert read == {name: value for name, value in action.items() if name != "secret"}
    listed = (await people.viewer.get("/actions")).json()
    assert listed["items"] == [read]
    assert (listed["total"], listed["has_more"]) == (1, False)


async def test_secrets_are_in_no_answer_and_no_event(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    action = await made(people.editor, config=hook(receiver))
    path = f"/actions/{action['id']}"
    receiver.body = {"you sent": "geheim"}
    receiver.answers = [(200, {}), (500, {"X-Echo": "geheim"}), (400, {})]
    answers = [
        await people.editor.patch(path, json={"description": "changed"}),
        await people.editor.put(path, json={"config": {"headers": HEADERS}}),
        await people.editor.post(f"{path}/test"),
    ]
    await broken(muster, people.project_id)
    await delivered(muster)
    await delivered(muster)
    delivery = await one(people.viewer)
    assert delivery["status"] == "dead"
    addresses = ("/actions", path, f"{path}/deliveries", "/actions/deliveries", "/api-keys")
    answers += [await people.editor.get(address) for address in addresses]
    answers += [
        await people.editor.get(f"/actions/deliveries/{delivery['id']}"),
        await people.editor.delete(path),
        await people.viewer.get("/events", params={"limit": 200}),
    ]
    for answer in answers:
        assert answer.status_code in {200, 204}, answer.text
        assert not any(secret in answer.text for secret in SECRETS), answer.text
    async with muster.database.read() as session:
        rows = (await session.scalars(select(EventRecord))).all()
    assert not any(secret in str(row.data) for row in rows for secret in SECRETS)


async def test_what_is_refused_repeats_no_secret(people: People, receiver: Receiver) -> None:
    for config in (
        {"url": "https://a.test/geheim" + "x" * 3000},
        {"url": "ftp://a.test/geheim"},
        {"url": "https://user:geheim@a.test/"},
        {"url": "geheim"},
        hook(receiver, headers={"Host": "geheim"}),
        hook(receiver, headers={"X-A": "geheim\r\nX-B: b"}),
        hook(receiver, headers={f"X-{n}": "geheim" for n in range(30)}),
        hook(receiver, secret="geheim"),
        hook(receiver, to=["a@b.test"]),
        hook(receiver, headers={"X-A": 1}),
        {},
    ):
        body = {"name": "Tell", "kind": "webhook", "config": config}
        answer = await people.editor.post("/actions", json=body)
        assert answer.status_code == 422, answer.text
        assert "geheim" not in answer.text
    assert (await people.viewer.get("/actions")).json()["total"] == 0


async def test_private_addresses_are_refused(people: People) -> None:
    for config, kind in (
        ({"url": "http://10.0.0.1/in"}, "webhook"),
        ({"url": "http://169.254.169.254/latest"}, "webhook"),
        ({"url": "mmost://10.0.0.1/" + "a" * 24}, "chat"),
    ):
        body = {"name": "Tell", "kind": kind, "config": config}
        answer = await people.editor.post("/actions", json=body)
        assert code(answer) == (403, "address_refused")


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("email", {}),
        ("email", {"to": []}),
        ("email", {"to": ["no address"]}),
        ("email", {"to": ["a@b.test\r\nBcc: c@d.test"]}),
        ("email", {"to": ["a@b.test"], "url": "https://a.test"}),
        ("chat", {}),
        ("chat", {"url": "https://a.test/geheim"}),
        ("chat", {"url": "syslog://localhost"}),
        ("pause_agent", {"url": "https://a.test"}),
        ("open_approval", {"to": ["a@b.test"]}),
        ("shell", {}),
    ],
)
async def test_a_configuration_that_does_not_fit(
    people: People, kind: str, config: dict[str, Any]
) -> None:
    body = {"name": "Tell", "kind": kind, "config": config}
    answer = await people.editor.post("/actions", json=body)
    assert answer.status_code == 422, answer.text
    assert "geheim" not in answer.text


@pytest.mark.parametrize(
    "on",
    [
        {"events": []},
        {"events": ["run.created"]},
        {"severities": ["huge"]},
        {"min_severity": "huge"},
        {"policy_ids": "all"},
        {"colour": "red"},
    ],
)
async def test_conditions_that_are_none(
    people: People, receiver: Receiver, on: dict[str, Any]
) -> None:
    body = {"name": "Tell", "kind": "webhook", "config": hook(receiver), "on": on}
    assert (await people.editor.post("/actions", json=body)).status_code == 422


async def test_names_are_taken_once(people: People, receiver: Receiver) -> None:
    action = await made(people.editor, config=hook(receiver))
    body = {"name": "Tell", "kind": "webhook", "config": hook(receiver)}
    taken = await people.editor.post("/actions", json=body)
    assert code(taken) == (409, "action_name_taken")
    await made(people.editor, name="Other", config=hook(receiver))
    renamed = await people.editor.put(f"/actions/{action['id']}", json={"name": "Other"})
    assert code(renamed) == (409, "action_name_taken")


async def test_an_action_is_changed(muster: Muster, people: People, receiver: Receiver) -> None:
    action = await made(people.editor, config=hook(receiver))
    path = f"/actions/{action['id']}"
    before = (await people.viewer.get(path)).json()
    same = await people.editor.put(
        path, json={name: before[name] for name in ("name", "kind", "on", "config", "enabled")}
    )
    assert same.json() == before
    assert await told(people.viewer, "action.updated") == []

    changed = await people.editor.patch(
        path,
        json={
            "name": "Other",
            "on": {"events": ["incident.resolved"], "min_severity": "high"},
            "config": {"url": f"{receiver.url}/new", "headers": {"X-Team": "***", "X-New": "n"}},
        },
    )
    assert changed.status_code == 200, changed.text
    assert changed.json()["name"] == "Other"
    assert changed.json()["config"] == {
        "url": f"{receiver.url}/***",
        "headers": {"X-New": "***", "X-Team": "***"},
    }
    (event,) = await told(people.viewer, "action.updated")
    assert event["data"]["changed"] == ["config", "name", "on"]
    await people.editor.post(f"{path}/test")
    (call,) = receiver.calls
    assert call.path == "/new"
    assert (call.headers["x-team"], call.headers["x-new"]) == ("red-geheim", "n")
    assert "authorization" not in call.headers
    assert call.is_signed_with(action["secret"])

    other_kind = await people.editor.put(path, json={"kind": "chat"})
    assert code(other_kind) == (422, "action_config_invalid")
    off = await people.editor.put(path, json={"enabled": False})
    assert off.json()["enabled"] is False
    await people.editor.put(path, json={"on": {}})
    await broken(muster, people.project_id)
    assert await deliveries(people.viewer) == []


async def test_the_list_is_filtered(people: People, receiver: Receiver) -> None:
    await made(people.editor, name="Alpha", config=hook(receiver))
    await made(people.editor, "pause_agent", name="Beta", enabled=False)

    async def names(**params: Any) -> list[str]:
        answer = await people.viewer.get("/actions", params=params)
        return [item["name"] for item in answer.json()["items"]]

    assert await names() == ["Beta", "Alpha"]
    assert await names(kind="webhook") == ["Alpha"]
    assert await names(enabled=False) == ["Beta"]
    assert await names(search="ALP") == ["Alpha"]
    assert (await people.viewer.get("/actions", params={"kind": "x"})).status_code == 422


async def test_an_action_is_deleted_with_its_secrets(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    action = await made(people.editor, config=hook(receiver))
    path = f"/actions/{action['id']}"
    await broken(muster, people.project_id)
    assert (await people.editor.delete(path)).status_code == 204
    assert code(await people.viewer.get(path)) == (404, "action_not_found")
    assert code(await people.editor.delete(path)) == (404, "action_not_found")
    assert (await people.editor.get("/api-keys")).json()["items"] == []
    assert await delivered(muster) == 1
    dead = await one(people.viewer)
    assert (dead["status"], dead["last_error"]) == ("dead", "The action was deleted.")
    assert receiver.calls == []
    events = await told(people.viewer, "action.")
    assert [event["type"] for event in events] == ["action.created", "action.deleted"]


async def test_who_may_do_what(people: People, receiver: Receiver) -> None:
    action = await made(people.editor, config=hook(receiver))
    path = f"/actions/{action['id']}"
    body = {"name": "Mine", "kind": "webhook", "config": hook(receiver)}
    for person in (people.viewer, people.operator):
        assert (await person.get(path)).status_code == 200
        assert (await person.post("/actions", json=body)).status_code == 403
        assert (await person.put(path, json={"enabled": False})).status_code == 403
        assert (await person.delete(path)).status_code == 403
        assert (await person.post(f"{path}/test")).status_code == 403
        assert (await person.post(f"{path}/rotate-secret")).status_code == 403
    for method, address in (
        ("GET", path),
        ("PUT", path),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/test"),
        ("POST", f"{path}/rotate-secret"),
        ("GET", f"{path}/deliveries"),
    ):
        body = {"config": {"url": receiver.url}} if method in {"PUT", "PATCH"} else None
        answer = await people.outsider.request(method, address, json=body)
        assert code(answer) == (404, "action_not_found"), address
    assert (await people.outsider.get("/actions")).json()["total"] == 0
    assert receiver.calls == []


async def test_a_key_needs_more_for_actions_on_agents(
    people: People, connect: Any, receiver: Receiver
) -> None:
    answer = await people.editor.post(
        "/security/api-keys",
        json={"name": "narrow", "scopes": ["actions:read", "actions:write"]},
    )
    assert answer.status_code == 201, answer.text
    narrow = connect(Authorization=f"Bearer {answer.json()['key']}")
    await made(narrow, config=hook(receiver))
    for kind in ("pause_agent", "open_approval"):
        refused = await narrow.post("/actions", json={"name": kind, "kind": kind})
        assert code(refused) == (403, "action_kind_refused")
    action = await made(people.editor, "pause_agent", name="Pause", enabled=False)
    enabled = await narrow.put(f"/actions/{action['id']}", json={"enabled": True})
    assert code(enabled) == (403, "action_kind_refused")


async def test_a_secret_is_rotated_with_a_day_of_grace(people: People, receiver: Receiver) -> None:
    action = await made(people.editor, config=hook(receiver))
    path = f"/actions/{action['id']}"
    answer = await people.editor.post(f"{path}/rotate-secret")
    assert answer.status_code == 200, answer.text
    secret = answer.json()["secret"]
    assert secret != action["secret"]
    await people.editor.post(f"{path}/test")
    assert receiver.calls[0].is_signed_with(secret)
    assert receiver.calls[0].is_signed_with(action["secret"])
    (event,) = await told(people.viewer, "action.updated")
    assert event["data"]["changed"] == ["secret"]
    # A secret that somebody gives takes the place of both at once.
    given = action["secret"]
    await people.editor.put(path, json={"config": {"secret": given}})
    await people.editor.post(f"{path}/test")
    assert receiver.calls[1].is_signed_with(given)
    assert not receiver.calls[1].is_signed_with(secret)
    other = await made(people.editor, "pause_agent", name="Pause")
    refused = await people.editor.post(f"/actions/{other['id']}/rotate-secret")
    assert code(refused) == (409, "action_has_no_secret")


def test_grace_ends() -> None:
    moment = clock.now()
    hidden = Hidden("https://a.test", {}, "old").rotated("new", moment)
    assert hidden.signing_secrets(moment + timedelta(hours=23)) == ["new", "old"]
    assert hidden.signing_secrets(moment + timedelta(hours=25)) == ["new"]
    assert Hidden("slack://a").signing_secrets(moment) == []
    assert Hidden.load(hidden.dump()) == hidden
    assert "old" not in repr(hidden)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.test", "https://a.test"),
        ("https://a.test/", "https://a.test/"),
        ("https://me:pw@a.test:8443/x?y=z", "https://a.test:8443/***"),
        ("http://[::1]:80/a", "http://[::1]:80/***"),
        ("https://a.test?token=1", "https://a.test/***"),
        ("Slack://token/a/b", "slack://***"),
        ("https://[broken", "***"),
    ],
)
def test_addresses_are_masked(url: str, shown: str) -> None:
    assert masked_url(url) == shown


async def test_the_vault_was_changed_by_hand(
    muster: Muster, people: People, receiver: Receiver
) -> None:
    action = await made(people.editor, config=hook(receiver))
    path = f"/actions/{action['id']}"
    (kept,) = (await people.editor.get("/api-keys")).json()["items"]
    assert kept["name"] == f"action.{action['id']}"
    for text in ("nonsense", "{}", '{"format":1,"end":null,"x":1}'):
        changed = await people.editor.put(f"/api-keys/{kept['id']}", json={"value": text})
        assert changed.status_code == 200, changed.text
        tried = (await people.editor.post(f"{path}/test")).json()
        assert "set the action's url again" in tried["error"]
    await people.editor.delete(f"/api-keys/{kept['id']}")
    tried = (await people.editor.post(f"{path}/test")).json()
    assert (tried["delivered"], "set its url again" in tried["error"]) == (False, True)
    for lost in (
        await people.editor.post(f"{path}/rotate-secret"),
        await people.editor.put(path, json={"config": {"headers": {}}}),
    ):
        assert code(lost) == (422, "action_config_invalid")
    again = await people.editor.put(path, json={"config": {"url": f"{receiver.url}/again"}})
    assert again.status_code == 200, again.text
    assert (await people.editor.post(f"{path}/test")).json()["delivered"] is True
    assert receiver.calls[-1].path == "/again"
