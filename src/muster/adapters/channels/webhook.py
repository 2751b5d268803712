"""Webhooks, signed by the common standard: id, time and body under HMAC-SHA-256."""

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from muster.adapters.channels.answers import EGRESS_ERRORS, Sent, explained, judge
from muster.kernel import clock
from muster.kernel.egress import Egress

SECRET_PREFIX = "whsec_"  # noqa: S105 - how secrets begin, not one
USER_AGENT = "Muster-Webhooks/1"

_SECRET_BYTES = 32
_SHORTEST, _LONGEST = 24, 64
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{0,4000}")
_OURS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Signing:
    """Secrets that a message is signed with: the present one, and old ones in their grace time."""

    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where to post, and with what. Nothing of it is shown: each part may hold a secret."""

    url: str = field(repr=False)
    signing: Signing
    headers: Mapping[str, str] = field(repr=False)


def new_signing_secret() -> str:
    """Return a new secret in the notation of the standard."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signing_key(secret: str) -> bytes:
    """Return the key of a secret, or raise ValueError with what is wrong."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not (secret.startswith(SECRET_PREFIX) and _SHORTEST <= len(key) <= _LONGEST):
        raise ValueError(
            f"A signing secret is {SECRET_PREFIX} and {_SHORTEST} to {_LONGEST} random bytes in "
            "base64; leave it away and one is made"
        )
    return key


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of one message: `v1,` and the base64 of the HMAC-SHA-256."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(signing_key(secret), signed, sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError for headers that HTTP does not take, or that Muster sets itself."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(
                "Names of headers are letters, digits and dashes; values are printable ASCII"
            )
        if name.lower() in _OURS or name.lower().startswith("webhook-"):
            raise ValueError(f"The header {name} is set by Muster; leave it away")


class WebhookSender:
    """Posts signed messages to addresses that users named."""

    def __init__(self, egress: Egress, now: Callable[[], datetime] = clock.now) -> None:
        self._egress, self._now = egress, now

    async def send(
        self, target: WebhookTarget, message_id: str, body: bytes, *, timeout_s: float
    ) -> Sent:
        """Post a message. What is answered besides the status is not read.

        Args:
            target: Where to.
            message_id: The same for each try, so that receivers can tell a repetition.
            body: JSON.
            timeout_s: For the whole of it.

        Raises:
            SendFailed: It may work later.
            SendRefused: It will not.
        """
        moment = self._now()
        timestamp = int(moment.timestamp())
        signatures = [sign(s, message_id, timestamp, body) for s in target.signing.secrets]
        headers = {
            "User-Agent": USER_AGENT,
            **target.headers,
            "Content-Type": "application/json",
            "Webhook-Id": message_id,
            "Webhook-Timestamp": str(timestamp),
            "Webhook-Signature": " ".join(signatures),
        }
        try:
            async with self._egress.stream(
                "POST",
                target.url,
                headers=headers,
                content=body,
                timeout_s=timeout_s,
                follow_redirects=False,
            ) as answer:
                return judge(answer.status, answer.headers, moment)
        except EGRESS_ERRORS as error:
            raise explained(error) from None
