"""From what people say about an action's work to what is kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from muster.adapters.channels import ChatSender, ChatTarget, MailSender, SendRefused
from muster.adapters.channels.webhook import check_headers, new_signing_secret, signing_key
from muster.domains.control.actions.errors import ActionConfigInvalid, EmailNotConfigured
from muster.domains.control.actions.hidden import MASK, Hidden, masked_url
from muster.kernel.egress import Egress
from muster.kernel.errors import FieldError

if TYPE_CHECKING:
    from muster.domains.control.actions.schemas import ActionConfig

FIELDS: Mapping[str, frozenset[str]] = {
    "webhook": frozenset({"url", "headers", "secret"}),
    "email": frozenset({"to", "subject"}),
    "chat": frozenset({"url"}),
    "pause_agent": frozenset(),
    "open_approval": frozenset({"pause", "instructions"}),
}
NEEDED = {"webhook": "url", "email": "to", "chat": "url"}
ACTS_ON_AGENTS = frozenset({"pause_agent", "open_approval"})

_LONGEST_URL = 2000
_MOST_HEADERS = 20


@dataclass(frozen=True, slots=True)
class Configured:
    """What is shown of an action's configuration, and what is not."""

    shown: dict[str, Any]
    hidden: Hidden | None


def refused(field: str, message: str) -> ActionConfigInvalid:
    """Return the error about one field of the configuration; it never repeats what was sent."""
    return ActionConfigInvalid(f"{message}.", errors=[FieldError(f"config.{field}", message)])


def require_fitting(kind: str, given: Mapping[str, Any]) -> None:
    """Raise where fields are given that an action of this kind does not take, or are too long."""
    for name in given:
        if name not in FIELDS[kind]:
            takes = " and ".join(sorted(FIELDS[kind])) or "nothing"
            raise refused(name, f"An action of kind {kind} takes {takes}")
    if len(given.get("url", "")) > _LONGEST_URL:
        raise refused("url", f"An address has at most {_LONGEST_URL} characters")
    if len(given.get("headers", ())) > _MOST_HEADERS:
        raise refused("headers", f"There may be {_MOST_HEADERS} headers at most")


def configured(
    kind: str,
    body: "ActionConfig",
    *,
    shown: Mapping[str, Any] | None = None,
    hidden: Hidden | None = None,
) -> Configured:
    """Return the configuration after a change; what is not given stays.

    Args:
        kind: Of the action.
        body: What is given.
        shown: What is shown of it now.
        hidden: What is secret of it now.
    """
    given = body.given()
    require_fitting(kind, given)
    merged = {**(shown or {}), **given}
    if (needed := NEEDED.get(kind)) and needed not in merged:
        raise refused(needed, f"An action of kind {kind} needs {needed}")
    if kind not in {"webhook", "chat"}:
        return Configured(merged, None)
    url = given.get("url")
    if url is None or (hidden is not None and url == masked_url(hidden.url)):
        # Whoever sends back what was shown means that it stays.
        url = hidden.url if hidden else ""
    if not url:
        raise refused("url", "The address is empty, or the vault has lost it; give it")
    if kind == "chat":
        return Configured({"url": masked_url(url)}, Hidden(url))
    headers = _headers(given.get("headers"), hidden.headers if hidden else {})
    secret = given.get("secret") or (hidden.secret if hidden else None) or new_signing_secret()
    try:
        signing_key(secret)
    except ValueError as error:
        raise refused("secret", str(error)) from None
    kept_previous = hidden is not None and hidden.secret == secret
    result = Hidden(
        url,
        headers,
        secret,
        hidden.previous_secret if hidden and kept_previous else None,
        hidden.previous_until if hidden and kept_previous else None,
    )
    return Configured(
        {"url": masked_url(url), "headers": dict.fromkeys(sorted(headers), MASK)}, result
    )


def _headers(given: dict[str, str] | None, before: Mapping[str, str]) -> dict[str, str]:
    if given is None:
        return dict(before)
    merged = {
        name: before[name] if value == MASK and name in before else value
        for name, value in given.items()
    }
    try:
        check_headers(merged)
    except ValueError as error:
        raise refused("headers", str(error)) from None
    return merged


class Targets:
    """Says whether something could be sent, before an action is saved. Holds no connection of the
    database: it may ask name servers.
    """

    def __init__(self, egress: Egress, chat: ChatSender, mail: MailSender) -> None:
        self._egress, self._chat, self._mail = egress, chat, mail

    async def check(self, kind: str, body: "ActionConfig", shown: Mapping[str, Any]) -> None:
        """Raise where an action of this kind could not send by what is given."""
        given = body.given()
        require_fitting(kind, given)
        if kind == "email" and self._mail.missing:
            raise EmailNotConfigured(
                f"Set {' and '.join(self._mail.missing)} and start Muster again; then e-mail can "
                "be sent."
            )
        url = given.get("url")
        if not url or url == shown.get("url"):
            return
        if kind == "webhook":
            await self._egress.check(url)
        else:
            try:
                await self._chat.check(ChatTarget(url))
            except SendRefused as error:
                raise refused("url", error.message.removesuffix(".")) from None
