"""Doing what an action says, for one delivery."""

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from muster.adapters.channels import (
    ChannelError,
    ChatSender,
    ChatTarget,
    Letter,
    MailSender,
    SendRefused,
    Sent,
    Signing,
    WebhookSender,
    WebhookTarget,
)
from muster.domains.control.actions.configuring import Targets
from muster.domains.control.actions.deciding import open_approval, pause_agent
from muster.domains.control.actions.hidden import Hidden
from muster.domains.control.actions.messages import words_for
from muster.domains.control.actions.models import Action
from muster.domains.control.actions.repository import ActionRepository
from muster.domains.control.breakers import Admission, Barred, BreakerId, Circuits, breaker_of
from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.kernel.egress import Egress
from muster.kernel.errors import AppError
from muster.kernel.settings import Settings
from muster.platform.access import Caller
from muster.platform.deliveries import Outgoing, Postponed
from muster.platform.vault import Vault

_PROBED_AGAIN = timedelta(seconds=5)
_LOOKED_AT_AGAIN = timedelta(minutes=1)
_SERVER_FAULT = 500


class ActionDelivery:
    """Delivers for actions; one for the process.

    Args:
        settings: Of the mail server, and how long an attempt may take.
        database: The database.
        egress: The guarded client.
        master_key: Opens what the vault keeps.
        circuits: The circuit breakers: a host that fails again and again is left alone.
        now: The clock.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        egress: Egress,
        master_key: MasterKey,
        circuits: Circuits,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._timeout_s = settings.deliveries.timeout_s
        self._database, self._master_key, self._now = database, master_key, now
        self._vault, self._circuits = Vault(database, master_key), circuits
        self._webhooks = WebhookSender(egress, now)
        self._chat = ChatSender(egress, now)
        self._mail = MailSender(settings.smtp)
        self.targets = Targets(egress, self._chat, self._mail)

    async def __call__(self, outgoing: Outgoing) -> Sent:
        """Do what the action says now about what happened then."""
        async with self._database.read() as session:
            action = await ActionRepository(session, outgoing.project_id).find(outgoing.source_id)
        if action is None:
            raise SendRefused("The action was deleted.")
        if not action.enabled:
            raise SendRefused("The action is disabled; enable it and retry the delivery.")
        return await self.act(action, outgoing)

    async def act(self, action: Action, outgoing: Outgoing) -> Sent:
        """Do what an action says."""
        match action.kind:
            case "webhook":
                return await self._webhook(action, outgoing)
            case "email":
                return await self._email(action, outgoing)
            case "chat":
                words = words_for(outgoing.message)
                target = ChatTarget((await self._hidden(action)).url)
                return await self._chat.send(
                    target, words.title, words.text, timeout_s=self._timeout_s
                )
            case _:
                return await self._change_agent(action, outgoing)

    async def _webhook(self, action: Action, outgoing: Outgoing) -> Sent:
        hidden = await self._hidden(action)
        target = WebhookTarget(
            hidden.url, Signing(hidden.signing_secrets(self._now())), hidden.headers
        )
        body = msgspec.json.encode(outgoing.message)
        breaker = breaker_of(f"host:{_host(hidden.url)}", action.project_id)
        admission = await self._admitted(breaker)
        answered: bool | None = None
        try:
            sent = await self._webhooks.send(target, outgoing.id, body, timeout_s=self._timeout_s)
            answered = True
        except ChannelError as error:
            answered = error.answered
            raise
        finally:
            await self._circuits.report(breaker, admission, answered=answered)
        return sent

    async def _admitted(self, breaker: BreakerId) -> Admission:
        admission = await self._circuits.admit(breaker)
        if not isinstance(admission, Barred):
            return admission
        now = self._now()
        until = now + _PROBED_AGAIN if admission.probing else admission.probe_at
        raise Postponed(admission.message, until or now + _LOOKED_AT_AGAIN)

    async def _email(self, action: Action, outgoing: Outgoing) -> Sent:
        words = words_for(outgoing.message)
        letter = Letter(
            message_id=outgoing.id,
            to=action.config["to"],
            subject=action.config.get("subject") or f"[Muster] {words.title}",
            text=words.text,
        )
        return await self._mail.send(letter, timeout_s=self._timeout_s)

    async def _change_agent(self, action: Action, outgoing: Outgoing) -> Sent:
        caller = Caller.system(action.project_id, f"action {action.name}"[:255])
        key, message = self._master_key, outgoing.message
        async with self._database.write() as session:
            if action.kind == "pause_agent":
                await pause_agent(session, caller, key, message)
            else:
                await open_approval(session, caller, key, message, action.config)
        return Sent()

    async def _hidden(self, action: Action) -> Hidden:
        try:
            return Hidden.load(await self._vault.value(action.project_id, action.vault_name))
        except AppError as error:
            if error.status >= _SERVER_FAULT:
                raise
            raise SendRefused(
                "The vault does not have the action's address any more; set its url again."
            ) from None


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
