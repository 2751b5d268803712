"""Taking calls of incoming webhooks: whoever knows the secret fires the trigger, once for each."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.triggers.errors import HookDisabled, HookNotFound, HookUnsigned
from muster.domains.work.triggers.firing import Cause, announce, insert_firing, row_of
from muster.domains.work.triggers.models import Firing, Trigger
from muster.domains.work.triggers.repository import find_firing, find_hook
from muster.domains.work.triggers.secrets import HookSecret, message_key, proves
from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.kernel.errors import AppError
from muster.kernel.ids import new_id
from muster.kernel.live import LiveBus
from muster.platform.access import Caller
from muster.platform.vault import VaultService

_HOW = {
    "standard": "Sign it with the trigger's secret as Standard Webhooks says, with webhook-id, "
    "webhook-timestamp (at most five minutes off) and webhook-signature.",
    "github": "Sign the body with the trigger's secret in X-Hub-Signature-256.",
    "token": "Send the trigger's secret in X-Muster-Token.",
}


async def proven(
    session: AsyncSession,
    master_key: MasterKey,
    trigger_id: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Trigger:
    """Return the trigger that a call is for; raises where it does not prove where it is from."""
    trigger = await find_hook(session, trigger_id)
    if trigger is None:
        raise HookNotFound
    vault = VaultService(session, Caller.system(trigger.project_id), master_key)
    try:
        kept = HookSecret.load(await vault.get_value(trigger.vault_name))
    except AppError:
        kept = None
    now, verification = clock.now(), trigger.config["verification"]
    secrets = kept.valid_at(now) if kept is not None else []
    if not proves(verification, secrets, headers, body, now):
        raise HookUnsigned(_HOW[verification])
    if not trigger.enabled:
        raise HookDisabled("The trigger is disabled; whoever owns it can enable it again.")
    return trigger


async def take(
    session: AsyncSession,
    live: LiveBus,
    trigger: Trigger,
    headers: Mapping[str, str],
    payload: Any,
) -> tuple[Firing, bool]:
    """Insert a firing for a call; returns it, and whether an equal call was taken before."""
    now = clock.now()
    key = message_key(headers) or f"hook:{new_id()}"
    cause = Cause(due_key=key, source="webhook", due_at=now, variables={"payload": payload})
    taken = await insert_firing(session, trigger, row_of(trigger, cause, now))
    firing = await find_firing(session, trigger.id, key)
    if firing is None:
        raise HookNotFound  # deleted in this very moment
    if taken:
        announce(session, live)
    return firing, not taken
