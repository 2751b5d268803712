"""What one can do with agents. Knows nothing of HTTP."""

import re
import unicodedata
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents.errors import (
    AgentInactive,
    AgentKeyTaken,
    AgentSecretsRefused,
    AgentSpecInvalid,
)
from muster.domains.catalogue.agents.events import (
    AgentActivated,
    AgentCreated,
    AgentDeleted,
    AgentRegistered,
    AgentStatusChanged,
    AgentUpdated,
)
from muster.domains.catalogue.agents.models import Agent, AgentVersion
from muster.domains.catalogue.agents.repository import AgentRepository
from muster.domains.catalogue.agents.schemas import AgentDiff, AgentList, FieldChange
from muster.domains.catalogue.agents.spec import EXTERNAL, AgentSpec
from muster.domains.catalogue.agents.spelling import canonical
from muster.domains.catalogue.tools import MAX_SECRET, seal_configuration
from muster.kernel import clock
from muster.kernel.crypto import MasterKey
from muster.kernel.errors import FieldError, Invalid
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller, Scope
from muster.platform.vault import VaultService

_NOT_KEY = re.compile(r"[^a-z0-9]+")


class AgentService:
    """Use cases of agents, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller, master_key: MasterKey) -> None:
        self._session, self._caller = session, caller
        self._agents = AgentRepository(session, caller.project_id)
        self._vault = VaultService(session, caller, master_key)

    async def list(self, params: AgentList) -> Rows[Agent]:
        return await self._agents.search(params)

    async def get(self, agent_id: str) -> Agent:
        return await self._agents.get(agent_id)

    async def find_key(self, key: str) -> Agent | None:
        return await self._agents.find_key(key)

    async def create(self, spec: AgentSpec) -> Agent:
        """Make an agent; it may be saved half-configured and says what it lacks."""
        if spec.key is None:
            spec = spec.model_copy(update={"key": await self._free_key(spec.name)})
        spec = await self._sealed(spec)
        agent = await self._agents.add(**_columns(spec), version=1)
        self._keep_version(agent, None)
        fact = AgentCreated(agent_id=agent.id, key=agent.key, name=agent.name)
        events.record(self._session, self._caller, fact)
        return agent

    async def delete(self, agent_id: str) -> None:
        """Deactivate an agent; its runs keep what they were ruled by."""
        agent = await self._agents.held(agent_id)
        await self._agents.update(agent, deleted_at=clock.now(), is_started=False, status="offline")
        fact = AgentDeleted(agent_id=agent.id, key=agent.key, name=agent.name)
        events.record(self._session, self._caller, fact)

    async def activate(self, agent_id: str) -> Agent:
        """Bring a deactivated agent back; its key must not have been given to another since."""
        agent = await self._agents.get_any(agent_id)
        if not agent.is_active:
            await self._agents.update(agent, deleted_at=None)
            fact = AgentActivated(agent_id=agent.id, key=agent.key, name=agent.name)
            events.record(self._session, self._caller, fact)
        return agent

    async def register(self, key: str, given: dict[str, Any]) -> tuple[Agent, bool]:
        """Make the agent that the caller's account knows by a key, or change it.

        Returns it, and whether it is new. Of many that register one key at once, one makes it.

        Args:
            key: The key of the agent, which is its own within the account.
            given: The fields that are told; the others keep their values.
        """
        account_id = self._caller.id
        known = await self._agents.find_registered(account_id, key)
        if known is None:
            spec = registered_spec(key, given)
            try:
                async with self._session.begin_nested():
                    agent = await self._agents.add(
                        **_columns(spec), version=1, account_id=account_id
                    )
            except AgentKeyTaken:
                known = await self._agents.find_registered(account_id, key)
            else:
                self._keep_version(agent, None)
                events.record(
                    self._session,
                    self._caller,
                    AgentRegistered(
                        agent_id=agent.id, key=key, name=agent.name, account_id=account_id
                    ),
                )
                return agent, True
        if known is None or not known.is_active:
            raise AgentInactive(
                f"The agent {key} was deactivated; ask somebody who may change the agents of the "
                "project to activate it again, or register under another key."
            )
        agent = await self._agents.held(known.id)
        return await self._store(agent, changed_spec(agent, given), "Registered again"), False

    async def change(
        self, agent_id: str, changes: dict[str, Any], *, note: str | None = None
    ) -> Agent:
        """Change the given fields; raises when the result is no valid definition."""
        agent = await self._agents.held(agent_id)
        return await self._store(agent, changed_spec(agent, changes), note)

    async def replace(self, agent_id: str, spec: AgentSpec) -> Agent:
        """Replace the whole definition; the key stays unless another is given."""
        agent = await self._agents.held(agent_id)
        if spec.key is None:
            spec = spec.model_copy(update={"key": agent.key})
        return await self._store(agent, spec, None)

    async def _store(self, agent: Agent, spec: AgentSpec, note: str | None) -> Agent:
        if agent.account_id is not None:
            spec = spec.model_copy(update={"kind": EXTERNAL})  # whoever registers runs elsewhere
        columns = _columns(await self._sealed(spec))
        changed = sorted(k for k, v in columns["spec"].items() if agent.spec.get(k) != v)
        if not changed:
            return agent
        await self._agents.update(agent, **columns, version=agent.version + 1)
        self._keep_version(agent, note)
        fact = AgentUpdated(
            agent_id=agent.id,
            key=agent.key,
            name=agent.name,
            version=agent.version,
            changed=changed,
        )
        events.record(self._session, self._caller, fact)
        return agent

    async def _sealed(self, spec: AgentSpec) -> AgentSpec:
        """Move the secrets in what is configured for the agent's tools into the vault."""
        configs: dict[str, dict[str, Any]] = {}
        for tool, config in spec.tool_configs.items():
            configs[tool], secrets = seal_configuration(config, f"agent.{spec.key}.{tool}")
            if secrets and not self._caller.may(Scope.SECRETS_WRITE):
                raise AgentSecretsRefused
            for name, value in secrets.items():
                if len(value) > MAX_SECRET:
                    raise Invalid(f"The secret {name} is longer than {MAX_SECRET} characters.")
                await self._vault.set(name, value, service="tool")
        return spec.model_copy(update={"tool_configs": configs})

    def _keep_version(self, agent: Agent, note: str | None) -> None:
        self._session.add(
            AgentVersion(
                agent_id=agent.id,
                version=agent.version,
                spec=agent.spec,
                note=note,
                created_by_id=self._caller.key_id or self._caller.id,
                created_by_name=self._caller.name,
            )
        )

    async def start(self, agent_id: str) -> Agent:
        """Let the agent take tasks from its queue."""
        return await self._turn(agent_id, started=True)

    async def stop(self, agent_id: str) -> Agent:
        """Let the agent take no more tasks; what it is doing goes on."""
        return await self._turn(agent_id, started=False)

    async def _turn(self, agent_id: str, *, started: bool) -> Agent:
        agent = await self._agents.held(agent_id)
        if agent.is_started != started:
            running = agent.status == "running"
            status = "running" if running else "idle" if started else "offline"
            await self._agents.update(agent, is_started=started, status=status)
            _tell_status(self._session, self._caller, agent)
        return agent

    async def versions(self, agent_id: str, params: ListParams) -> Rows[AgentVersion]:
        return await self._agents.versions(await self._agents.get(agent_id), params)

    async def version(self, agent_id: str, number: int) -> AgentVersion:
        return await self._agents.version(await self._agents.get(agent_id), number)

    async def diff(self, agent_id: str, before: int, after: int) -> AgentDiff:
        """Compare two versions field by field."""
        agent = await self._agents.get(agent_id)
        old, new = [(await self._agents.version(agent, n)).spec for n in (before, after)]
        changes = [
            FieldChange(field=name, before=old.get(name), after=new.get(name))
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
        return AgentDiff(agent_id=agent.id, from_version=before, to_version=after, changes=changes)

    async def restore(self, agent_id: str, number: int) -> Agent:
        """Make an earlier version the present one, as a new version."""
        agent = await self._agents.held(agent_id)
        version = await self._agents.version(agent, number)
        note = f"Restored from version {number}"
        return await self._store(agent, _validated(version.spec), note)

    async def _free_key(self, name: str) -> str:
        base = slug(name)
        taken = set(await self._agents.keys_like(base))
        key, number = base, 1
        while key in taken:
            number += 1
            key = f"{base}-{number}"
        return key


def changed_spec(agent: Agent, changes: dict[str, Any]) -> AgentSpec:
    """Return the definition that an agent has after a change of the given fields."""
    try:
        given = canonical(changes, agent.spec)
    except ValueError as error:
        raise Invalid(f"{error}.") from error
    unknown = sorted(set(given) - set(AgentSpec.model_fields))
    if unknown:
        errors = [FieldError(name, "An agent has no such field.") for name in unknown]
        raise Invalid(f"An agent has no field {', '.join(unknown)[:300]}.", errors=errors)
    # A null where the definition has none means the default, as in the crews family.
    spec = _validated({**agent.spec, **given})
    return spec if spec.key else spec.model_copy(update={"key": agent.key})


def registered_spec(key: str, given: dict[str, Any]) -> AgentSpec:
    """Return the definition of an agent that registers for the first time."""
    maintainer = given.get("maintainer_id", given.get("owner_id"))
    told = {"name": key, **given, "maintainer_id": maintainer}
    return _validated({**told, "key": key, "kind": EXTERNAL})


def _tell_status(session: AsyncSession, caller: Caller, agent: Agent) -> None:
    fact = AgentStatusChanged(
        agent_id=agent.id,
        key=agent.key,
        name=agent.name,
        status=agent.status,
        is_started=agent.is_started,
    )
    events.record(session, caller, fact)


def slug(name: str) -> str:
    """Return a key made of a name."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_KEY.sub("-", plain).strip("-")[:100] or "agent"


def _columns(spec: AgentSpec) -> dict[str, Any]:
    return {
        "key": spec.key,
        "name": spec.name,
        "role": spec.role,
        "environment": spec.environment,
        "kind": spec.kind,
        "spec": spec.model_dump(mode="json"),
    }


def _validated(values: dict[str, Any]) -> AgentSpec:
    try:
        return AgentSpec.model_validate(values)
    except ValidationError as error:
        found = [
            FieldError(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors()
        ]
        text = "; ".join(f"{f.field}: {f.message}" for f in found[:5])
        raise Invalid(text or AgentSpecInvalid.title, errors=found) from error
