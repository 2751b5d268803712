"""Chat services: one library writes the messages, the guarded client alone sends them."""

import asyncio
import importlib
import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from muster.adapters.channels import (
    ChatSender,
    ChatTarget,
    SendFailed,
    SendRefused,
    Sent,
    new_signing_secret,
)
from muster.adapters.channels.chat import _PLUGINS, CHAT_SCHEMES
from muster.adapters.channels.chat_requests import Line, line_of_thread
from muster.kernel.egress import AddressRefused, Egress, EgressPolicy
from tests.adapters.channels_setting import (
    Receiver,
    egress,
    mailbox,
    problem,
    receiver,
    receiving,
    walled,
)

__all__ = ["egress", "mailbox", "receiver", "walled"]

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = new_signing_secret()
ID = "0198a6f2-7c1e-7d35-9c55-0c9c5f0e8a11"
TOKEN = "a" * 24


def chat_url(receiver: Receiver, scheme: str, rest: str) -> str:
    webhook = f"{TOKEN}/{TOKEN}@" if scheme == "rocket" else ""
    return f"{scheme}://{webhook}{receiver.url.removeprefix('http://')}{rest}"


async def say(egress: Egress, url: str, timeout_s: float = 5) -> Sent:
    return await ChatSender(egress).send(
        ChatTarget(url), "High: @everyone", "It <!channel> broke <@U1>.", timeout_s=timeout_s
    )


@pytest.mark.parametrize(
    ("scheme", "rest", "path"),
    [
        ("mmost", f"/{TOKEN}", f"/hooks/{TOKEN}"),
        ("ntfy", "/alerts", "/"),
        ("gotify", "/AbCdEfGhIjKlMnO", "/message"),
        ("rocket", "/@general", f"/hooks/{TOKEN}/{TOKEN}"),
    ],
)
async def test_a_chat_service_gets_the_message(
    receiver: Receiver, egress: Egress, scheme: str, rest: str, path: str
) -> None:
    await say(egress, chat_url(receiver, scheme, rest))
    (call,) = receiver.calls
    assert (call.method, call.path) == ("POST", path)
    text = call.body.decode()
    assert "broke" in text
    for shout in ("@everyone", "<!channel", "<@U1"):
        assert shout not in text


async def test_what_a_chat_service_answers(receiver: Receiver, egress: Egress) -> None:
    url = chat_url(receiver, "mmost", f"/{TOKEN}")
    receiver.answers = [(503, {"Retry-After": "9"}), (401, {}), (302, {"Location": receiver.url})]
    later = await problem(say(egress, url))
    assert isinstance(later, SendFailed)
    assert (later.status_code, later.retry_after_s) == (503, 9.0)
    never = await problem(say(egress, url))
    assert isinstance(never, SendRefused)
    away = await problem(say(egress, url))
    assert isinstance(away, SendRefused)
    assert len(receiver.calls) == 3
    assert await say(egress, url) == Sent()


async def test_no_chat_service_is_there(receiver: Receiver, egress: Egress) -> None:
    error = await problem(say(egress, f"mmost://127.0.0.1:9/{TOKEN}"))
    assert isinstance(error, SendFailed)
    receiver.gate = asyncio.Event()
    slow = await problem(say(egress, chat_url(receiver, "mmost", f"/{TOKEN}"), timeout_s=0.3))
    receiver.gate.set()
    assert isinstance(slow, SendFailed)
    assert slow.answered is False


async def test_chat_goes_through_the_guard(receiver: Receiver, walled: Egress) -> None:
    url = chat_url(receiver, "mmost", f"/{TOKEN}")
    error = await problem(say(walled, url))
    assert isinstance(error, SendRefused)
    with pytest.raises(AddressRefused):
        await ChatSender(walled).check(ChatTarget(url))
    for address in (f"ntfys://10.0.0.1/{TOKEN}", f"rocket://{TOKEN}/{TOKEN}@10.0.0.1/@a"):
        with pytest.raises(AddressRefused):
            await ChatSender(walled).check(ChatTarget(address))
    await ChatSender(walled).check(ChatTarget("ntfy://topic"))  # its host is that of the service
    assert receiver.calls == []


@pytest.mark.parametrize(
    "url",
    [
        "syslog://localhost",
        "file:///etc/passwd",
        "mailto://me:pw@example.com",
        "dbus://",
        "windows://",
        "json://127.0.0.1/",
        "apprise://127.0.0.1/token",
        "https://example.com/hook",
        "nothing",
        "",
        "slack://",
        "mmost://",
        f"mmost://127.0.0.1/{TOKEN}?template=/etc/passwd",
        f"mmost://127.0.0.1/{TOKEN}?verify=no",
        f"mmost://127.0.0.1/{TOKEN}?rto=1000",
        f"ntfy://127.0.0.1/{TOKEN}?attach=file:///etc/passwd",
        f"ntfy://127.0.0.1/{TOKEN}?+Host=evil",
        f"mmost://[127.0.0.1/{TOKEN}",
    ],
)
async def test_addresses_that_are_no_chat(egress: Egress, url: str) -> None:
    chat = ChatSender(egress)
    with pytest.raises(SendRefused):
        await chat.check(ChatTarget(url))
    assert isinstance(await problem(chat.send(ChatTarget(url), "a", "b", timeout_s=5)), SendRefused)


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#nuxref",
        f"discord://{'4' * 18}/{'b' * 64}",
        f"tgram://123456789:{'a' * 35}/12345",
        "zulip://muster@example/" + "a" * 32,
        "gchat://workspace/key/token",
        "webex://" + "a" * 80,
        f"workflows://prod.westus.logic.azure.com:443/{'a' * 32}/{'b' * 43}",
    ],
)
async def test_addresses_of_services_in_the_cloud(
    walled: Egress, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are understood, and what is sent to them goes through the guard alone."""
    asked: list[str] = []

    async def request(method: str, address: str, **_: Any) -> Any:
        asked.append(f"{method} {address}")
        raise AddressRefused("No.")

    monkeypatch.setattr(walled, "request", request)

    async def check(_: str) -> None: ...

    monkeypatch.setattr(walled, "check", check)
    chat = ChatSender(walled)
    await chat.check(ChatTarget(url))
    error = await problem(chat.send(ChatTarget(url), "a", "b", timeout_s=5))
    assert error.message == "No."
    assert asked
    assert all(" https://" in one for one in asked)


async def test_plugins_cannot_send_by_themselves(receiver: Receiver, egress: Egress) -> None:
    """Outside of a message, and after its time, the library's plugins have no way out."""
    await say(egress, chat_url(receiver, "mmost", f"/{TOKEN}"))
    module: Any = importlib.import_module("apprise.plugins.mattermost")
    problems: list[Exception] = []

    def post() -> None:
        try:
            module.requests.post(receiver.url, data="x", timeout=1)
        except module.requests.RequestException as error:
            problems.append(error)

    thread = threading.Thread(target=post)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert len(problems) == 1
    for name in ("Session", "sessions", "adapters", "delete", "api"):
        assert not hasattr(module.requests, name)
    assert len(receiver.calls) == 1


async def test_no_plugin_uses_another_way_out(walled: Egress) -> None:
    """Each module that is loaded speaks through the name `requests`, and opens nothing else."""
    for scheme in CHAT_SCHEMES:
        with suppress(SendRefused):
            await ChatSender(walled).check(ChatTarget(f"{scheme}://"))
    loaded = {name for name, _ in _PLUGINS.values()}
    for name in loaded:
        module: Any = importlib.import_module(f"apprise.plugins.{name}")
        assert type(module.requests).__module__ == "muster.adapters.channels.chat_requests"
        others = {"socket", "smtplib", "subprocess", "urllib3", "http", "httpx", "aiohttp"}
        assert not others & set(vars(module))


async def test_a_plugin_that_breaks_is_not_tried_again(
    egress: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent, and nothing of it is told."""
    await ChatSender(egress).check(ChatTarget(f"mmost://127.0.0.1/{TOKEN}"))
    module: Any = importlib.import_module("apprise.plugins.mattermost")

    def broken(*_: Any, **__: Any) -> bool:
        raise ZeroDivisionError(TOKEN)

    monkeypatch.setattr(module.NotifyMattermost, "notify", broken)
    error = await problem(say(egress, f"mmost://127.0.0.1:9/{TOKEN}"))
    assert isinstance(error, SendRefused)
    assert TOKEN not in error.message


async def test_plugins_see_what_requests_would_show(receiver: Receiver, egress: Egress) -> None:
    """Answers look as the library's own do, and every method of it is offered."""
    await ChatSender(egress).check(ChatTarget(f"mmost://127.0.0.1/{TOKEN}"))
    module: Any = importlib.import_module("apprise.plugins.mattermost")
    line = Line(egress, asyncio.get_running_loop(), 5, NOW)
    seen: list[Any] = []

    def talk() -> None:
        line_of_thread.set(line)
        for method in ("get", "put", "post"):
            call = getattr(module.requests, method)
            answer = call(
                f"{receiver.url}/x", params={"a": "b"}, json={"c": 1}, auth=("me", "pw"), verify=0
            )
            seen.append((answer.status_code, answer.json(), answer.headers["Content-Type"]))

    await asyncio.to_thread(talk)
    assert seen == [(200, {"ok": True}, "application/json")] * 3
    assert [call.method for call in receiver.calls] == ["GET", "PUT", "POST"]
    (call, *_) = receiver.calls
    assert (call.query, call.body) == ("a=b", b'{"c": 1}')
    assert call.headers["authorization"] == "Basic bWU6cHc="
    assert (line.sent, line.problems) == (3, [])


async def test_a_loop_that_does_not_answer(egress: Egress) -> None:
    """The thread of a plugin does not wait for ever for a loop that is held up."""
    await ChatSender(egress).check(ChatTarget(f"mmost://127.0.0.1/{TOKEN}"))
    module: Any = importlib.import_module("apprise.plugins.mattermost")
    idle = asyncio.new_event_loop()  # never runs: what is given to it waits
    line = Line(egress, idle, -0.9, NOW)

    def talk() -> None:
        line_of_thread.set(line)
        with suppress(module.requests.RequestException):
            module.requests.get("http://127.0.0.1:9/")

    await asyncio.to_thread(talk)
    idle.close()
    (error,) = line.problems
    assert isinstance(error, SendFailed)


async def test_an_answer_that_is_too_long(egress: Egress) -> None:
    small = Egress(EgressPolicy(["127.0.0.0/8"]))
    async with receiving() as receiver:
        receiver.body = {"a": "b" * 400_000}
        error = await problem(say(small, chat_url(receiver, "mmost", f"/{TOKEN}")))
    await small.aclose()
    assert isinstance(error, SendFailed)
    assert error.answered is True


async def test_the_library_writes_no_log(
    receiver: Receiver, egress: Egress, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.answers = [(500, {})]
    await problem(say(egress, chat_url(receiver, "mmost", f"/{TOKEN}")))
    assert not [record for record in caplog.records if record.name.startswith("apprise")]
