"""What people do with policies. Knows nothing of HTTP."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.control.policies import engine
from muster.domains.control.policies.compiled import announce
from muster.domains.control.policies.errors import PolicyRefused
from muster.domains.control.policies.events import (
    PolicyCreated,
    PolicyDeleted,
    PolicyDisabled,
    PolicyEnabled,
    PolicyUpdated,
)
from muster.domains.control.policies.models import Policy, PolicyVersion
from muster.domains.control.policies.notation import columns, read, written
from muster.domains.control.policies.repository import PolicyRepository
from muster.domains.control.policies.schemas import PolicyList, PolicyOut
from muster.domains.control.policies.subjects import find_subject
from muster.kernel import clock
from muster.kernel.errors import FieldError
from muster.kernel.live import LiveBus
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller


class PolicyService:
    """Use cases of policies, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller, live: LiveBus) -> None:
        self._session, self._caller, self._live = session, caller, live
        self._policies = PolicyRepository(session, caller)

    async def list(self, params: PolicyList) -> Rows[PolicyOut]:
        agent = None
        if params.agent_key is not None:
            agent = await find_subject(self._session, self._caller, params.agent_key)
        rows = await self._policies.search(params, agent)
        shown = [present(policy) for policy in rows.items]
        return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)

    async def get(self, policy_id: str) -> PolicyOut:
        return present(await self._policies.get(policy_id))

    async def create(self, raw: Mapping[str, Any]) -> PolicyOut:
        """Make a policy; it holds from the next step on."""
        return present(await self.add(read(raw)))

    async def add(self, policy: engine.Policy, **origin: str | None) -> Policy:
        """Store a policy that was read, with where it comes from."""
        await self.require_agent(policy.agent_id)
        stored = await self._policies.add(**columns(policy), **origin, version=1)
        self._keep_version(stored)
        fact = PolicyCreated(
            policy_id=stored.id,
            name=stored.name,
            rule_type=stored.rule_type,
            scope=stored.scope,
            severity=stored.severity,
            agent_id=stored.agent_id,
            enabled=stored.enabled,
        )
        events.record(self._session, self._caller, fact)
        announce(self._session, self._live)
        return stored

    async def update(self, policy_id: str, raw: Mapping[str, Any]) -> PolicyOut:
        """Change the given fields; the whole must be a valid policy again."""
        policy = await self._policies.held(policy_id)
        before = written(policy)
        after = columns(read({**before, **raw}))
        if after["agent_id"] != policy.agent_id:
            await self.require_agent(after["agent_id"])
        changed = sorted(name for name, value in after.items() if getattr(policy, name) != value)
        if not changed:
            return present(policy)
        if changed == ["enabled"]:
            return await self._turn(policy, enabled=after["enabled"])
        await self._store(policy, **after)
        fact = PolicyUpdated(
            policy_id=policy.id, name=policy.name, version=policy.version, changed=changed
        )
        events.record(self._session, self._caller, fact)
        return present(policy)

    async def turn(self, policy_id: str, *, enabled: bool) -> PolicyOut:
        """Let a policy hold, or not."""
        policy = await self._policies.held(policy_id)
        return (
            present(policy)
            if policy.enabled == enabled
            else await self._turn(policy, enabled=enabled)
        )

    async def delete(self, policy_id: str) -> None:
        """Let a policy hold no more; incidents still name it."""
        policy = await self._policies.held(policy_id)
        await self._store(policy, deleted_at=clock.now(), enabled=False)
        fact = PolicyDeleted(policy_id=policy.id, name=policy.name)
        events.record(self._session, self._caller, fact)

    async def versions(self, policy_id: str, params: ListParams) -> Rows[PolicyVersion]:
        return await self._policies.versions(await self._policies.get(policy_id), params)

    async def _turn(self, policy: Policy, *, enabled: bool) -> PolicyOut:
        await self._store(policy, enabled=enabled)
        kind = PolicyEnabled if enabled else PolicyDisabled
        fact = kind(policy_id=policy.id, name=policy.name, version=policy.version)
        events.record(self._session, self._caller, fact)
        return present(policy)

    async def _store(self, policy: Policy, **values: Any) -> None:
        await self._policies.update(policy, **values, version=policy.version + 1)
        self._keep_version(policy)
        announce(self._session, self._live)

    def _keep_version(self, policy: Policy) -> None:
        self._session.add(
            PolicyVersion(
                policy_id=policy.id,
                version=policy.version,
                policy=written(policy),
                created_by_id=self._caller.key_id or self._caller.id,
                created_by_name=self._caller.name,
            )
        )

    async def require_agent(self, agent_id: str | None) -> None:
        """Raise `PolicyRefused` unless the project has this agent."""
        if agent_id is None:
            return
        agent = await self._session.get(Agent, agent_id)
        if agent is None or agent.project_id != self._caller.project_id:
            message = "is no agent of this project; leave it out to bind every agent"
            raise PolicyRefused(f"agent_id: {message}", errors=[FieldError("agent_id", message)])


def present(policy: Policy) -> PolicyOut:
    """Return a policy as the API shows it."""
    shown = written(policy)
    return PolicyOut(
        id=policy.id,
        **shown,
        enforcement_point=shown["scope"],
        source_template=policy.source_template,
        manifest_name=policy.manifest_name,
        manifest_version=policy.manifest_version,
        version=policy.version,
        created_at=policy.created_at,
        updated_at=policy.updated_at,
    )
