"""The secret of an incoming webhook: made, kept in the vault, and proved by callers."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from muster.adapters.channels import new_signing_secret, sign
from muster.adapters.channels.webhook import signing_key
from muster.domains.work.triggers.configuring import refused
from muster.kernel import clock

GRACE = timedelta(hours=24)
"""How long an old secret counts beside the new one."""

TOLERANCE = timedelta(minutes=5)
_SHORTEST, _LONGEST = 16, 255
_FORMAT = 1
_LONGEST_STAMP = 12


@dataclass(frozen=True, slots=True)
class HookSecret:
    """The secret of a webhook, and the one before it in its grace time."""

    secret: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    previous_until: str | None = None

    def rotated(self, moment: datetime) -> "HookSecret":
        """Return it with a new secret; the old one counts too for a while."""
        return HookSecret(new_signing_secret(), self.secret, clock.iso(moment + GRACE))

    def valid_at(self, moment: datetime) -> list[str]:
        """Return the secrets that count at a moment."""
        found = [self.secret]
        if self.previous and (self.previous_until or "") > clock.iso(moment):
            found.append(self.previous)
        return found

    def dump(self) -> str:
        """Return it as the vault keeps it; it ends alike always, as the vault shows the end."""
        parts = {
            "format": _FORMAT,
            "secret": self.secret,
            "previous": self.previous,
            "previous_until": self.previous_until,
            "end": None,
        }
        return msgspec.json.encode(parts).decode()

    @classmethod
    def load(cls, text: str) -> "HookSecret | None":
        """Read what the vault keeps; None where somebody has put in another thing."""
        try:
            parts: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
            return cls(parts["secret"], parts["previous"], parts["previous_until"])
        except (msgspec.MsgspecError, KeyError):
            return None


def chosen_secret(verification: str, given: str | None) -> str:
    """Return the secret that was given, if it can be one, or a new one."""
    if given is None:
        return new_signing_secret()
    if verification == "standard":
        try:
            signing_key(given)
        except ValueError as error:
            raise refused("config.secret", str(error)) from None
    elif not (_SHORTEST <= len(given) <= _LONGEST and given.isascii() and given.isprintable()):
        raise refused(
            "config.secret", f"A secret is {_SHORTEST} to {_LONGEST} printable ASCII characters"
        )
    return given


def proves(
    verification: str,
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> bool:
    """Tell whether a call comes from somebody who knows one of the secrets."""
    if verification == "token":
        given = headers.get("x-muster-token") or _bearer(headers)
        return any(_same(secret, given) for secret in secrets)
    if verification == "github":
        given = headers.get("x-hub-signature-256", "")
        return any(
            _same("sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest(), given)
            for secret in secrets
        )
    stamp = headers.get("webhook-timestamp", "")
    message_id = headers.get("webhook-id", "")
    if not message_id or not stamp.isascii() or not stamp.isdigit() or len(stamp) > _LONGEST_STAMP:
        return False
    if abs(now.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        return False
    given_signatures = headers.get("webhook-signature", "").split()
    wanted = [sign(secret, message_id, int(stamp), body) for secret in secrets]
    return any(_same(one, given) for one in wanted for given in given_signatures)


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _same(wanted: str, given: str) -> bool:
    return hmac.compare_digest(wanted.encode(), given.encode())


def message_key(headers: Mapping[str, str]) -> str | None:
    """Return the key under which a call is taken once, if its sender names one."""
    for name in ("webhook-id", "x-github-delivery", "idempotency-key"):
        if headers.get(name):
            return "hook:" + sha256(headers[name].encode()).hexdigest()
    return None
