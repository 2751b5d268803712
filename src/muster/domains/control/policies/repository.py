"""Queries on policies."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.control.policies.engine import Context, PolicyInvalid
from muster.domains.control.policies.errors import PolicyNotFound
from muster.domains.control.policies.models import Policy, PolicyVersion
from muster.domains.control.policies.notation import judged_by
from muster.domains.control.policies.subjects import context_of
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows, page_of, paginate
from muster.platform.access import Caller, CallerKind
from muster.platform.projects import Project

if TYPE_CHECKING:
    from muster.domains.control.policies.schemas import PolicyList

_OLDEST = (Policy.created_at, Policy.id)


class PolicyRepository(Repository[Policy]):
    """The policies of one project that are not deleted.

    A key of kind `agent` sees those for every agent and those of its own account's agents.
    """

    model, missing = Policy, PolicyNotFound

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        super().__init__(session, caller.project_id)
        self._account_id = caller.id if caller.kind is CallerKind.AGENT_KEY else None

    def query(self) -> Select[Any]:
        found = super().query().where(Policy.deleted_at.is_(None))
        if self._account_id is None:
            return found
        own = select(Agent.id).where(Agent.account_id == self._account_id)
        return found.where(or_(Policy.agent_id.is_(None), Policy.agent_id.in_(own)))

    async def search(self, params: "PolicyList", agent: Agent | None) -> Rows[Policy]:
        """Return policies that match the filters, newest first; with an agent, what binds it."""
        query = self.query()
        for column, value in (
            (Policy.agent_id, params.agent_id),
            (Policy.scope, params.scope),
            (Policy.enabled, params.enabled),
            (Policy.severity, params.severity),
            (Policy.rule_type, params.rule_type),
        ):
            if value is not None:
                query = query.where(column == value)
        if params.search:
            columns = (Policy.name, Policy.description)
            text = params.search
            query = query.where(or_(*(c.icontains(text, autoescape=True) for c in columns)))
        if agent is None:
            return await self.page(query, params.paged, (Policy.created_at, True))
        query = query.where(or_(Policy.agent_id.is_(None), Policy.agent_id == agent.id))
        newest = query.order_by(Policy.created_at.desc(), Policy.id.desc())
        context = context_of(agent.id, agent.spec)
        binding = [
            policy for policy in await self.session.scalars(newest) if _binds(policy, context)
        ]
        return page_of(binding, params.paged)

    async def all(self) -> Sequence[Policy]:
        """Return every policy, oldest first."""
        return (await self.session.scalars(self.query().order_by(*_OLDEST))).all()

    async def of_manifest(self, name: str) -> Sequence[Policy]:
        """Return what a manifest has made."""
        return await self._made(Policy.manifest_name == name)

    async def of_template(self, template_id: str, agent_id: str | None) -> Sequence[Policy]:
        """Return what a template has made for an agent, or for every one."""
        bound = Policy.agent_id.is_(None) if agent_id is None else Policy.agent_id == agent_id
        return await self._made(Policy.source_template == template_id, bound)

    async def _made(self, *by: ColumnElement[bool]) -> Sequence[Policy]:
        # The project is held, so that of two who make the same only one makes it.
        project = select(Project.id).where(Project.id == self.project_id)
        await self.session.execute(project.with_for_update(key_share=True))
        return (await self.session.scalars(self.query().where(*by).order_by(*_OLDEST))).all()

    async def held(self, policy_id: str) -> Policy:
        """Return a policy that nobody else changes until the unit of work ends."""
        statement = self.query().where(Policy.id == policy_id).with_for_update()
        found: Policy | None = await self.session.scalar(
            statement, execution_options={"populate_existing": True}
        )
        if found is None:
            raise PolicyNotFound
        return found

    async def versions(self, policy: Policy, params: ListParams) -> Rows[PolicyVersion]:
        """Return the states that a policy has had, newest first."""
        statement = select(PolicyVersion).where(PolicyVersion.policy_id == policy.id)
        return await paginate(
            self.session,
            statement,
            params,
            sort=(PolicyVersion.version, True),
            tiebreak=PolicyVersion.policy_id,
        )


def _binds(policy: Policy, context: Context) -> bool:
    """Whether a policy is about an agent; one that cannot be read is about everybody."""
    try:
        return replace(judged_by(policy), enabled=True).applies_to(context)
    except PolicyInvalid:
        return True
