"""Channels: what receivers get, and what their answers mean."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import SecretStr

from muster.adapters.channels import (
    ChatTarget,
    Letter,
    MailSender,
    SendFailed,
    SendRefused,
    Sent,
    Signing,
    WebhookSender,
    WebhookTarget,
    new_signing_secret,
    sign,
)
from muster.adapters.channels.answers import judge, retry_after
from muster.adapters.channels.webhook import check_headers, signing_key
from muster.kernel.egress import Egress
from muster.kernel.settings import SmtpSettings
from tests.adapters.channels_setting import (
    Mailbox,
    Receiver,
    egress,
    mail_server,
    mailbox,
    problem,
    receiver,
    walled,
)

__all__ = ["egress", "mailbox", "receiver", "walled"]

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = new_signing_secret()
ID = "0198a6f2-7c1e-7d35-9c55-0c9c5f0e8a11"
TOKEN = "a" * 24


def target(url: str, *secrets: str, **headers: str) -> WebhookTarget:
    return WebhookTarget(url, Signing(secrets or (SECRET,)), headers)


# Webhooks


async def test_a_webhook_is_signed_by_the_standard(receiver: Receiver, egress: Egress) -> None:
    sender = WebhookSender(egress, lambda: NOW)
    url = f"{receiver.url}/in?token=1"
    sent = await sender.send(target(url, **{"X-Team": "red"}), ID, b'{"a":1}', timeout_s=5)
    assert sent == Sent(200)
    (call,) = receiver.calls
    assert (call.method, call.path, call.query, call.body) == ("POST", "/in", "token=1", b'{"a":1}')
    assert call.headers["content-type"] == "application/json"
    assert (call.headers["x-team"], call.headers["webhook-id"]) == ("red", ID)
    assert call.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert call.is_signed_with(SECRET)
    assert not call.is_signed_with(new_signing_secret())


async def test_two_secrets_sign_while_one_is_replaced(receiver: Receiver, egress: Egress) -> None:
    other = new_signing_secret()
    await WebhookSender(egress).send(target(receiver.url, SECRET, other), ID, b"{}", timeout_s=5)
    assert receiver.calls[0].is_signed_with(SECRET)
    assert receiver.calls[0].is_signed_with(other)


def test_the_signature_of_the_standards_own_example() -> None:
    """The values are those of the published description of the standard."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_???", "whsec_YWJj", "plain", "whsec_" + "A" * 100, "é"]
)
def test_a_weak_or_broken_secret_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        signing_key(secret)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "a"},
        {"Content-Type": "text/plain"},
        {"Webhook-Id": "1"},
        {"X-A": "a\r\nX-B: b"},
        {"X A": "a"},
        {"X-A": "ü"},
        {"": "a"},
    ],
)
def test_headers_that_cannot_be_sent(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        check_headers(headers)
    check_headers({"Authorization": "Bearer a", "X-A": ""})


@pytest.mark.parametrize(
    ("status", "refused", "answered"),
    [
        (301, True, True),
        (400, True, True),
        (401, True, True),
        (404, False, True),
        (408, False, True),
        (410, True, True),
        (429, False, False),
        (500, False, False),
        (501, True, True),
        (503, False, False),
    ],
)
async def test_what_answers_mean(
    receiver: Receiver, egress: Egress, status: int, refused: bool, answered: bool
) -> None:
    receiver.answers = [(status, {"Location": f"{receiver.url}/away"})]
    error = await problem(WebhookSender(egress).send(target(receiver.url), ID, b"{}", timeout_s=5))
    assert isinstance(error, SendRefused if refused else SendFailed)
    assert (error.status_code, error.answered) == (status, answered)
    assert str(status) in error.message
    assert len(receiver.calls) == 1  # no redirect was followed


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("0", 0.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("999999999", 86_400.0),
        ("soon", None),
        ("-5", None),
        ("²", None),
    ],
)
def test_when_a_receiver_asks_to_wait(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_an_answer_that_asks_to_wait() -> None:
    with pytest.raises(SendFailed) as caught:
        judge(503, {"retry-after": "7"}, NOW)
    assert caught.value.retry_after_s == 7.0
    assert judge(204, {}, NOW) == Sent(204)


async def test_a_private_address_is_refused(receiver: Receiver, walled: Egress) -> None:
    sent = WebhookSender(walled).send(target(receiver.url), ID, b"{}", timeout_s=5)
    error = await problem(sent)
    assert isinstance(error, SendRefused)
    assert error.answered is None
    assert receiver.calls == []


async def test_nobody_is_there(egress: Egress) -> None:
    sent = WebhookSender(egress).send(target("http://127.0.0.1:9"), ID, b"{}", timeout_s=5)
    error = await problem(sent)
    assert isinstance(error, SendFailed)
    assert error.answered is False


async def test_no_answer_in_time(receiver: Receiver, egress: Egress) -> None:
    receiver.gate = asyncio.Event()
    sent = WebhookSender(egress).send(target(receiver.url), ID, b"{}", timeout_s=0.2)
    error = await problem(sent)
    receiver.gate.set()
    assert isinstance(error, SendFailed)
    assert error.answered is False


def test_targets_do_not_show_their_secrets() -> None:
    shown = repr((target("https://a.test/geheim", **{"X-A": "verborgen"}), ChatTarget("slack://t")))
    assert not any(word in shown for word in ("geheim", "verborgen", SECRET, "slack"))


# E-mail


def mail(mailbox: Mailbox, **given: Any) -> MailSender:
    settings = {
        "host": "127.0.0.1",
        "port": mailbox.port,
        "sender": "Muster <muster@example.com>",
        "tls": "none",
    }
    return MailSender(SmtpSettings.model_validate({**settings, **given}))


LETTER = Letter(
    message_id=ID,
    to=["a@example.com", "b@example.com"],
    subject="High incident\r\nBcc: evil@example.com\x00 ü",
    text="Grüße\n.\nend",
)


async def test_a_letter_arrives(mailbox: Mailbox) -> None:
    assert await mail(mailbox).send(LETTER, timeout_s=5) == Sent(250)
    (letter,) = mailbox.letters
    assert mailbox.recipients == [["a@example.com", "b@example.com"]]
    assert letter["Subject"] == "High incident Bcc: evil@example.com  ü"
    assert letter["Bcc"] is None
    assert letter["From"] == "Muster <muster@example.com>"
    assert letter["Message-ID"] == f"<{ID}@example.com>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().replace("\r\n", "\n") == "Grüße\n.\nend\n"


async def test_a_password_is_asked_for() -> None:
    with mail_server("geheim") as mailbox:
        sender = mail(mailbox, username="me", password=SecretStr("geheim"))
        await sender.send(LETTER, timeout_s=5)
        assert len(mailbox.letters) == 1
        wrong = mail(mailbox, username="me", password=SecretStr("falsch"))
        error = await problem(wrong.send(LETTER, timeout_s=5))
    assert isinstance(error, SendFailed)
    assert "falsch" not in error.message


@pytest.mark.parametrize(
    ("where", "answer", "refused"),
    [
        ("refuse_recipients", "550 no such user", True),
        ("refuse_recipients", "451 later", False),
        ("refuse_data", "554 no", True),
        ("refuse_data", "452 full", False),
    ],
)
async def test_a_letter_is_not_taken(
    mailbox: Mailbox, where: str, answer: str, refused: bool
) -> None:
    setattr(mailbox, where, answer)
    error = await problem(mail(mailbox).send(LETTER, timeout_s=5))
    assert isinstance(error, SendRefused if refused else SendFailed)
    assert error.status_code == int(answer[:3])
    assert answer[4:] not in error.message


async def test_no_mail_server(mailbox: Mailbox) -> None:
    error = await problem(mail(mailbox, port=9).send(LETTER, timeout_s=5))
    assert isinstance(error, SendFailed)
    asked = await problem(mail(mailbox, tls="starttls").send(LETTER, timeout_s=5))
    assert isinstance(asked, SendFailed)  # the server offers none, and nothing goes in the clear
    assert mailbox.letters == []


async def test_e_mail_is_not_set_up(mailbox: Mailbox) -> None:
    sender = mail(mailbox, host=None, sender=None)
    assert sender.missing == ["MUSTER_SMTP_HOST", "MUSTER_SMTP_SENDER"]
    error = await problem(sender.send(LETTER, timeout_s=5))
    assert isinstance(error, SendRefused)
    assert "MUSTER_SMTP_HOST" in error.message


async def test_an_address_that_is_none(mailbox: Mailbox) -> None:
    letter = Letter(message_id=ID, to=["a@b\r\nBcc: c@d.test"], subject="a", text="b")
    error = await problem(mail(mailbox).send(letter, timeout_s=5))
    assert isinstance(error, SendRefused)
    assert mailbox.letters == []
