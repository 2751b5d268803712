"""What of an action is secret: kept in the vault as one value, and masked where it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from muster.adapters.channels import SendRefused
from muster.kernel import clock

MASK = "***"
GRACE = timedelta(hours=24)
"""How long an old signing secret still signs beside the new one."""

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Hidden:
    """The secret parts of an action."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    secret: str | None = field(default=None, repr=False)
    previous_secret: str | None = field(default=None, repr=False)
    previous_until: str | None = None

    def rotated(self, secret: str, moment: datetime) -> "Hidden":
        """Return it with a new signing secret; the old one signs too for a while."""
        return Hidden(self.url, self.headers, secret, self.secret, clock.iso(moment + GRACE))

    def signing_secrets(self, moment: datetime) -> list[str]:
        """Return the secrets that sign at this moment, the present one first."""
        found = [self.secret] if self.secret else []
        if self.previous_secret and (self.previous_until or "") > clock.iso(moment):
            found.append(self.previous_secret)
        return found

    def dump(self) -> str:
        """Return it as the vault keeps it. It ends alike always: the vault shows the last letters
        of long values as a hint.
        """
        parts = {
            "url": self.url,
            "headers": dict(self.headers),
            "secret": self.secret,
            "previous_secret": self.previous_secret,
            "previous_until": self.previous_until,
        }
        return msgspec.json.encode({"format": _FORMAT, **parts, "end": None}).decode()

    @classmethod
    def load(cls, text: str) -> "Hidden":
        """Read what the vault keeps; raises `SendRefused` where somebody has put in another."""
        try:
            parts: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
            del parts["format"], parts["end"]
            return cls(**parts)
        except (msgspec.MsgspecError, KeyError, TypeError):
            raise SendRefused(
                "What the vault keeps for this action was changed; set the action's url again."
            ) from None


def masked_url(url: str) -> str:
    """Return an address without what may be secret in it: user, path and query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return MASK
    if parts.scheme not in {"http", "https"} or host is None:
        # In chat addresses tokens may stand in the place of the host.
        return f"{url.partition('://')[0].lower()}://{MASK}"
    shown = f"[{host}]" if ":" in host else host
    rest = f"/{MASK}" if parts.path.strip("/") or parts.query else parts.path
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{rest}"
