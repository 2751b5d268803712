"""What people do with actions. Knows nothing of HTTP."""

from typing import Any

from pydantic import MISSING
from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.channels import SendRefused, new_signing_secret
from muster.domains.control.actions.configuring import ACTS_ON_AGENTS, configured, refused
from muster.domains.control.actions.errors import (
    ActionConfigInvalid,
    ActionHasNoSecret,
    ActionKindRefused,
)
from muster.domains.control.actions.events import ActionCreated, ActionDeleted, ActionUpdated
from muster.domains.control.actions.hidden import Hidden
from muster.domains.control.actions.models import Action
from muster.domains.control.actions.repository import ActionRepository
from muster.domains.control.actions.schemas import (
    ActionCreate,
    ActionList,
    ActionOut,
    ActionUpdate,
    ActionWithSecret,
)
from muster.domains.control.actions.watching import announce
from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.kernel.errors import AppError, FieldError
from muster.kernel.live import LiveBus
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller, Scope
from muster.platform.vault import VaultService


class ActionService:
    """Use cases of actions, for one caller."""

    def __init__(
        self, session: AsyncSession, caller: Caller, master_key: MasterKey, live: LiveBus
    ) -> None:
        self._session, self._caller, self._live = session, caller, live
        self._actions = ActionRepository(session, caller.project_id)
        self._vault = VaultService(session, caller, master_key)

    async def list(self, params: ActionList) -> Rows[Action]:
        return await self._actions.search(params)

    async def get(self, action_id: str) -> Action:
        return await self._actions.get(action_id)

    async def create(self, body: ActionCreate) -> ActionWithSecret:
        """Make an action; a signing secret that was made for it is returned this once."""
        self._require_may(body.kind)
        made = configured(body.kind, body.config)
        action = await self._actions.add(
            name=body.name,
            description=body.description,
            kind=body.kind,
            enabled=body.enabled,
            criteria=body.on.model_dump(),
            config=made.shown,
        )
        await self._keep(action, made.hidden)
        fact = ActionCreated(
            action_id=action.id, name=action.name, kind=action.kind, enabled=action.enabled
        )
        events.record(self._session, self._caller, fact)
        announce(self._session, self._live)
        return _with_secret(action, made.hidden.secret if made.hidden else None)

    async def update(self, action_id: str, body: ActionUpdate) -> Action:
        """Change the given fields."""
        action = await self._actions.held(action_id)
        self._require_may(action.kind)
        if body.kind is not MISSING and body.kind != action.kind:
            raise ActionConfigInvalid(
                f"The action is of kind {action.kind}; make another one instead.",
                errors=[FieldError("kind", "The kind of an action cannot be changed")],
            )
        changes: dict[str, Any] = {
            "name": body.name,
            "description": body.description,
            "enabled": body.enabled,
            "criteria": MISSING if body.on is MISSING else body.on.model_dump(),
        }
        changes = {
            name: value
            for name, value in changes.items()
            if value is not MISSING and value != getattr(action, name)
        }
        changed = {"on" if name == "criteria" else name for name in changes}
        if body.config is not MISSING:
            before = await self._hidden(action)
            made = configured(action.kind, body.config, shown=action.config, hidden=before)
            if made.shown != action.config or made.hidden != before:
                changes["config"] = made.shown
                changed.add("config")
                await self._keep(action, made.hidden)
        if not changes:
            return action
        await self._actions.update(action, **changes, updated_at=clock.now())
        self._tell_updated(action, changed)
        return action

    async def rotate_secret(self, action_id: str) -> ActionWithSecret:
        """Sign with a new secret; the old one signs too for a day."""
        action = await self._actions.held(action_id)
        if action.kind != "webhook":
            raise ActionHasNoSecret
        before = await self._hidden(action)
        if before is None:
            raise refused("url", "The vault has lost the action's address; give it first")
        secret = new_signing_secret()
        await self._keep(action, before.rotated(secret, clock.now()))
        await self._actions.update(action, updated_at=clock.now())
        self._tell_updated(action, {"secret"})
        return _with_secret(action, secret)

    async def delete(self, action_id: str) -> None:
        """Delete an action and its secrets; what was delivered stays in the log."""
        action = await self._actions.held(action_id)
        if await self._vault.exists(action.vault_name):
            await self._vault.delete(action.vault_name)
        await self._actions.delete(action)
        fact = ActionDeleted(action_id=action.id, name=action.name, kind=action.kind)
        events.record(self._session, self._caller, fact)
        announce(self._session, self._live)

    def _require_may(self, kind: str) -> None:
        if kind in ACTS_ON_AGENTS and not self._caller.may(Scope.AGENTS_WRITE):
            raise ActionKindRefused(f"An action of kind {kind} also needs the scope agents:write.")

    async def _keep(self, action: Action, hidden: Hidden | None) -> None:
        if hidden is not None:
            await self._vault.set(
                action.vault_name,
                hidden.dump(),
                service="action",
                description=f"Address and secrets of the action {action.name}.",
            )

    async def _hidden(self, action: Action) -> Hidden | None:
        try:
            return Hidden.load(await self._vault.get_value(action.vault_name))
        except (AppError, SendRefused):
            return None

    def _tell_updated(self, action: Action, changed: set[str]) -> None:
        fact = ActionUpdated(
            action_id=action.id,
            name=action.name,
            kind=action.kind,
            changed=sorted(changed),
            enabled=action.enabled,
        )
        events.record(self._session, self._caller, fact)
        announce(self._session, self._live)


def _with_secret(action: Action, secret: str | None) -> ActionWithSecret:
    shown = ActionOut.model_validate(action)
    return ActionWithSecret.model_validate({**shown.model_dump(), "secret": secret})
