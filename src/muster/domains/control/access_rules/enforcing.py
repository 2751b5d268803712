"""Access rules as their enforcers use them: all of them, in memory, until one changes."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.access_rules.deciding import (
    ALLOWED,
    Principal,
    Rule,
    RuleBook,
    Verdict,
    judge,
)
from muster.domains.control.access_rules.errors import AccessDeniedByRule
from muster.domains.control.access_rules.models import AccessRule
from muster.domains.control.access_rules.principals import of_caller, of_starter
from muster.domains.control.access_rules.vocabulary import ResourceType
from muster.kernel.cached import Cached
from muster.kernel.db import Database, after_commit
from muster.kernel.live import LiveBus
from muster.platform.access import Caller

TOPIC = "access-rules"
_NAMED = 20


class AccessRules:
    """Decides who may use what; one for the process.

    Without a rule about a thing that is a look into a dict. Who somebody is, is asked only where
    there is one.
    """

    def __init__(self, database: Database, live: LiveBus) -> None:
        version: Any = select(func.count(AccessRule.id), func.max(AccessRule.updated_at))
        self._database = database
        self._cached = Cached(database, live, topic=TOPIC, version=version, load=_load)

    async def require(
        self,
        caller: Caller,
        resource_type: ResourceType,
        resource_ids: Collection[str],
        session: AsyncSession | None = None,
    ) -> None:
        """Raise `AccessDeniedByRule` unless a caller may use a thing.

        Args:
            caller: Who wants to use it.
            resource_type: What it is.
            resource_ids: Every id by which rules may name it.
            session: Of the unit of work, if one is open.
        """

        async def principal() -> Principal:
            return of_caller(caller)

        _require_allowed(
            await self._judge(resource_type, resource_ids, principal, session),
            resource_type,
        )

    async def require_starter(
        self,
        starter_id: str,
        project_id: str,
        resource_type: ResourceType,
        resource_ids: Collection[str],
        session: AsyncSession,
    ) -> None:
        """Raise `AccessDeniedByRule` unless whoever started something may use a thing."""
        _require_allowed(
            await self.judge_starter(
                starter_id, project_id, resource_type, resource_ids, session=session
            ),
            resource_type,
        )

    async def judge_starter(
        self,
        starter_id: str | None,
        project_id: str,
        resource_type: ResourceType,
        resource_ids: Collection[str],
        *,
        session: AsyncSession | None = None,
    ) -> Verdict:
        """Decide about what is done for whoever started it: a user, by itself or by a key."""

        async def principal() -> Principal:
            return await of_starter(self._database, starter_id, project_id, session)

        return await self._judge(resource_type, resource_ids, principal, session)

    async def _judge(
        self,
        resource_type: str,
        resource_ids: Collection[str],
        principal: Callable[[], Awaitable[Principal]],
        session: AsyncSession | None = None,
    ) -> Verdict:
        book = await self._cached.get(session)
        about = book.about(resource_type, resource_ids)
        return judge(about, await principal()) if about else ALLOWED


def refusal(verdict: Verdict, resource_type: str) -> str:
    """Say why a thing may not be used, and what to do; what the rules say stays with their maker.

    Only the first of the rules is named: any of them is enough.
    """
    rule_id = verdict.ruling[0].id
    if verdict.denied_outright:
        why = f"The access rule {rule_id} denies the use of this {resource_type}"
    else:
        why = f"The access rule {rule_id} keeps this {resource_type} for others"
    return f"{why}; ask a superadmin of the platform."


def _require_allowed(verdict: Verdict, resource_type: str) -> None:
    if not verdict.allowed:
        details = {"resource_type": resource_type, "rules": ids_of(verdict)}
        raise AccessDeniedByRule(refusal(verdict, resource_type), details=details)


def ids_of(verdict: Verdict) -> list[str]:
    """Return the ids of the rules that decided, of the first if they are many."""
    return [rule.id for rule in verdict.ruling[:_NAMED]]


def announce(session: AsyncSession, live: LiveBus) -> None:
    """Let every process read the rules again when the unit of work is committed."""

    async def publish() -> None:
        live.publish(TOPIC, {"type": "changed"})

    after_commit(session, publish)


async def _load(session: AsyncSession) -> RuleBook:
    rows = await session.scalars(select(AccessRule))
    return RuleBook(
        Rule(
            id=row.id,
            scope_type=row.scope_type,
            scope_id=row.scope_id,
            resource_type=row.resource_type,
            resource_id=row.resource_id,
            denies=row.effect == "deny",
            action=row.action,
        )
        for row in rows
    )
