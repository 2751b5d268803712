"""Receivers for tests: a webhook server that checks signatures, chat services, a mail server."""

import asyncio
import base64
import email
import email.policy
import hmac
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muster.adapters.channels import ChannelError
from muster.kernel.egress import Egress, EgressPolicy
from tests.support.echo_server import METHODS, serve


@dataclass
class Call:
    """One request that arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found

    def is_signed_with(self, secret: str) -> bool:
        """Check the signature as the standard says, without any code of the product."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        parts = (self.headers["webhook-id"], self.headers["webhook-timestamp"])
        signed = f"{parts[0]}.{parts[1]}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()
        given = self.headers["webhook-signature"].split(" ")
        return any(hmac.compare_digest(one, f"v1,{expected}") for one in given)


@dataclass
class Receiver:
    """Answers what `answers` say, one after the other, then 200."""

    url: str = ""
    calls: list[Call] = field(default_factory=list[Call])
    answers: list[tuple[int, dict[str, str]]] = field(
        default_factory=list[tuple[int, dict[str, str]]]
    )
    body: dict[str, Any] = field(default_factory=lambda: {"ok": True})
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        call = Call(
            request.method, request.url.path, request.url.query, dict(request.headers), body
        )
        self.calls.append(call)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        return JSONResponse(self.body, status, headers)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A server that takes whatever is sent."""
    receiver = Receiver()
    app = Starlette(routes=[Route("/{path:path}", receiver.answer, methods=METHODS)])
    async with serve(app) as base:
        receiver.url = base
        yield receiver


class Mailbox:
    """What a mail server does with letters: keeps them, or refuses."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuse_recipients: str | None = None
        self.refuse_data: str | None = None
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if self.refuse_recipients:
            return self.refuse_recipients
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server, session
        if self.refuse_data:
            return self.refuse_data
        content = envelope.content
        assert isinstance(content, bytes)
        letter = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"


class _Controller(Controller):
    """Takes the port that the system gives it."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(password: str | None = None) -> Iterator[Mailbox]:
    """A real SMTP server on a free port."""
    mailbox = Mailbox()

    def authenticate(
        server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        del server, session, envelope, mechanism
        return AuthResult(success=data.password == (password or "").encode())

    controller = _Controller(
        mailbox,
        hostname="127.0.0.1",
        port=0,
        authenticator=authenticate if password else None,
        auth_require_tls=False,
    )
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    found = Egress(EgressPolicy(["127.0.0.0/8"]))
    yield found
    await found.aclose()


@pytest.fixture
async def walled() -> AsyncIterator[Egress]:
    """A client that may reach public addresses only."""
    found = Egress(EgressPolicy([]))
    yield found
    await found.aclose()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


async def problem(awaitable: Any) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        await awaitable
    return caught.value
