"""What people do with triggers. Knows nothing of HTTP."""

from datetime import datetime
from typing import Any

from pydantic import MISSING
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.triggers.configuring import Action, action_of, configured, refused
from muster.domains.work.triggers.cron import CronRule
from muster.domains.work.triggers.errors import (
    FiringNotRetryable,
    TriggerHasNoSecret,
    TriggerNotAllowed,
)
from muster.domains.work.triggers.events import (
    TriggerCreated,
    TriggerDeleted,
    TriggerRetried,
    TriggerUpdated,
)
from muster.domains.work.triggers.firing import Cause, announce, insert_firing, row_of
from muster.domains.work.triggers.models import FAILED, PENDING, STARTED, Firing, Trigger
from muster.domains.work.triggers.repository import FiringRepository, TriggerRepository
from muster.domains.work.triggers.schemas import (
    FiringList,
    TriggerCreate,
    TriggerList,
    TriggerUpdate,
)
from muster.domains.work.triggers.secrets import HookSecret, chosen_secret
from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.kernel.errors import AppError
from muster.kernel.ids import new_id
from muster.kernel.live import LiveBus
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller, Scope
from muster.platform.vault import VaultService


class TriggerService:
    """Use cases of triggers, for one caller."""

    def __init__(
        self, session: AsyncSession, caller: Caller, master_key: MasterKey, live: LiveBus
    ) -> None:
        self._session, self._caller, self._live = session, caller, live
        self._triggers = TriggerRepository(session, caller.project_id)
        self._firings = FiringRepository(session, caller.project_id)
        self._vault = VaultService(session, caller, master_key)

    async def list(self, params: TriggerList) -> Rows[Trigger]:
        return await self._triggers.search(params)

    async def schedules(
        self, params: ListParams, *, enabled: bool | None, search: str | None, crew_id: str | None
    ) -> Rows[Trigger]:
        """Return triggers of type `cron`."""
        return await self._triggers.schedules(
            params, enabled=enabled, search=search, crew_id=crew_id
        )

    async def get(self, trigger_id: str) -> Trigger:
        return await self._triggers.get(trigger_id)

    async def create(self, body: TriggerCreate) -> tuple[Trigger, str | None]:
        """Make a trigger; returns the secret of its webhook with it, this once."""
        self._require_may_start()
        config, given = configured(body.type, body.config)
        action = action_of(body.action)
        trigger = await self._triggers.add(
            name=body.name,
            description=body.description,
            type=body.type,
            config=config,
            **self._starting(action),
            **self._timing(body.type, config, enabled=body.enabled),
            **await self._following(body.type, enabled=body.enabled, before=False),
        )
        secret: str | None = None
        if body.type == "webhook":
            secret = chosen_secret(config["verification"], given)
            await self._keep(trigger, HookSecret(secret))
        fact = TriggerCreated(
            trigger_id=trigger.id,
            name=trigger.name,
            trigger_type=trigger.type,
            enabled=trigger.enabled,
        )
        events.record(self._session, self._caller, fact)
        announce(self._session, self._live)
        return trigger, secret

    async def update(self, trigger_id: str, body: TriggerUpdate) -> Trigger:
        """Change the given fields."""
        self._require_may_start()
        trigger = await self._triggers.held(trigger_id)
        if body.type is not MISSING and body.type != trigger.type:
            raise refused("type", f"The trigger is of type {trigger.type}; make another one")
        changes: dict[str, Any] = {}
        if body.name is not MISSING:
            changes["name"] = body.name
        if body.description is not MISSING:
            changes["description"] = body.description
        changed: set[str] = set()
        if body.config is not MISSING:
            changes["config"], secret = configured(trigger.type, body.config, trigger.config)
            if await self._changed_secret(trigger, changes["config"], secret):
                changed.add("secret")
        if body.action is not MISSING:
            changes |= self._starting(action_of(body.action))
        changes = {name: new for name, new in changes.items() if new != getattr(trigger, name)}
        enabled = trigger.enabled if body.enabled is MISSING else body.enabled
        if enabled != trigger.enabled or "config" in changes:
            config = changes.get("config", trigger.config)
            changes |= self._timing(trigger.type, config, enabled=enabled)
            changes |= await self._following(trigger.type, enabled=enabled, before=trigger.enabled)
        return await self._change(trigger, changes, changed)

    async def toggle(self, trigger_id: str, enabled: bool | None) -> Trigger:
        """Enable or disable a trigger, or turn it to what it is not."""
        self._require_may_start()
        trigger = await self._triggers.held(trigger_id)
        wanted = not trigger.enabled if enabled is None else enabled
        if wanted == trigger.enabled:
            return trigger
        changes = self._timing(trigger.type, trigger.config, enabled=wanted)
        changes |= await self._following(trigger.type, enabled=wanted, before=trigger.enabled)
        return await self._change(trigger, changes, set())

    async def rotate_secret(self, trigger_id: str) -> tuple[Trigger, str]:
        """Make a new secret; the old one counts too for a day."""
        trigger = await self._triggers.held(trigger_id)
        if trigger.type != "webhook":
            raise TriggerHasNoSecret
        before = await self._secret(trigger)
        made = (
            before.rotated(clock.now()) if before else HookSecret(chosen_secret("standard", None))
        )
        await self._keep(trigger, made)
        await self._change(trigger, {}, {"secret"})
        return trigger, made.secret

    async def delete(self, trigger_id: str) -> Trigger:
        """Delete a trigger with its history and its secret; runs that it started go on."""
        trigger = await self._triggers.held(trigger_id)
        if trigger.type == "webhook" and await self._vault.exists(trigger.vault_name):
            await self._vault.delete(trigger.vault_name)
        await self._triggers.delete(trigger)
        fact = TriggerDeleted(trigger_id=trigger.id, name=trigger.name, trigger_type=trigger.type)
        events.record(self._session, self._caller, fact)
        return trigger

    async def fire(self, trigger_id: str, inputs: dict[str, Any] | None) -> Firing:
        """Fire a trigger by hand, for the caller; it need not be enabled."""
        trigger = await self._triggers.get(trigger_id)
        now = clock.now()
        cause = Cause(
            due_key=f"manual:{new_id()}",
            source="manual",
            due_at=now,
            variables={"event": None, "payload": None},
            inputs=inputs if inputs is not None else (None if trigger.inputs else {}),
            starter_id=self._caller.id,
        )
        row = row_of(trigger, cause, now)
        await insert_firing(self._session, trigger, row)
        announce(self._session, self._live)
        return await self._firings.get(row["id"])

    async def history(
        self, trigger_id: str, params: FiringList
    ) -> tuple[Rows[Firing], dict[str, str]]:
        """Return what a trigger fired, and how the runs of it stand."""
        await self._triggers.get(trigger_id)
        rows = await self._firings.history(trigger_id, params)
        return rows, await self._firings.statuses([firing.run_id for firing in rows.items])

    async def firing(self, trigger_id: str, firing_id: str) -> tuple[Firing, str | None]:
        """Return one firing of a trigger, and how the run of it stands."""
        await self._triggers.get(trigger_id)
        firing = await self._firings.of(trigger_id, firing_id)
        return firing, (await self._firings.statuses([firing.run_id])).get(firing.run_id)

    async def retry(self, trigger_id: str, firing_id: str, inputs: dict[str, Any] | None) -> Firing:
        """Let what a firing could not start be started for the caller, with what it is now."""
        trigger = await self._triggers.get(trigger_id)
        firing = await self._firings.of(trigger_id, firing_id, held=True)
        _require_retryable(trigger, firing, inputs)
        await self._firings.update(
            firing,
            status=PENDING,
            reason=None,
            starter_id=self._caller.id,
            inputs=firing.inputs if inputs is None else inputs,
            attempts=0,
            launch_at=clock.now(),
        )
        fact = TriggerRetried(
            trigger_id=trigger.id,
            name=trigger.name,
            trigger_type=trigger.type,
            firing_id=firing.id,
            run_id=firing.run_id,
            source=firing.source,
        )
        events.record(self._session, self._caller, fact)
        announce(self._session, self._live)
        return firing

    def _require_may_start(self) -> None:
        if not self._caller.may(Scope.RUNS_EXECUTE):
            raise TriggerNotAllowed("A trigger starts runs: it also needs the scope runs:execute.")

    def _starting(self, action: Action) -> dict[str, Any]:
        # Whoever says what is started is the one for whom it is started.
        return {
            "target_kind": action.kind,
            "target": action.reference,
            "definition": action.definition,
            "inputs": action.inputs,
            "owner_id": self._caller.id,
            "owner_name": self._caller.name,
        }

    @staticmethod
    def _timing(type: str, config: dict[str, Any], *, enabled: bool) -> dict[str, Any]:
        next_at: datetime | None = None
        if type == "cron" and enabled:
            next_at = CronRule(config["cron"], config["timezone"]).after(clock.now())
        return {"enabled": enabled, "next_at": next_at}

    async def _following(self, type: str, *, enabled: bool, before: bool) -> dict[str, Any]:
        # What is recorded while it is enabled counts, however far behind the follower is.
        if type != "event" or not enabled or before:
            return {}
        return {"since_seq": await self._triggers.begin_following()}

    async def _change(
        self, trigger: Trigger, changes: dict[str, Any], changed: set[str]
    ) -> Trigger:
        changes = {name: new for name, new in changes.items() if new != getattr(trigger, name)}
        if not changes and not changed:
            return trigger
        # The owner is who saved it last: else it would do for one person what another one wrote.
        owner = {"owner_id": self._caller.id, "owner_name": self._caller.name}
        await self._triggers.update(trigger, **{**owner, **changes}, updated_at=clock.now())
        names = changed | {name for name in changes if name not in {"next_at", "since_seq"}}
        fact = TriggerUpdated(
            trigger_id=trigger.id,
            name=trigger.name,
            trigger_type=trigger.type,
            changed=sorted(names),
            enabled=trigger.enabled,
        )
        events.record(self._session, self._caller, fact)
        announce(self._session, self._live)
        return trigger

    async def _changed_secret(
        self, trigger: Trigger, config: dict[str, Any], given: str | None
    ) -> bool:
        if trigger.type != "webhook":
            return False
        before = await self._secret(trigger)
        wanted = given or (before.secret if before else None)
        secret = chosen_secret(config["verification"], wanted)
        if before is not None and secret == before.secret:
            return False
        await self._keep(trigger, HookSecret(secret))
        return True

    async def _keep(self, trigger: Trigger, secret: HookSecret) -> None:
        await self._vault.set(
            trigger.vault_name,
            secret.dump(),
            service="trigger",
            description=f"Secret of the webhook of the trigger {trigger.name}.",
        )

    async def _secret(self, trigger: Trigger) -> HookSecret | None:
        try:
            return HookSecret.load(await self._vault.get_value(trigger.vault_name))
        except AppError:
            return None


def _require_retryable(trigger: Trigger, firing: Firing, inputs: dict[str, Any] | None) -> None:
    if firing.status == STARTED:
        raise FiringNotRetryable(f"It has started the run {firing.run_id}: retry that.")
    if firing.status != FAILED:
        raise FiringNotRetryable(f"The firing is {firing.status}; fire the trigger instead.")
    if firing.attempts == 0 and inputs is None:
        raise FiringNotRetryable("Its inputs could not be made, so it has none: give some.")
    if not trigger.enabled and firing.source != "manual":
        raise FiringNotRetryable("The trigger is disabled: enable it, or fire it by hand.")
