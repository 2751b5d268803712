"""The policies of all projects, compiled and held in memory until they change."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.control.policies import engine
from muster.domains.control.policies.engine import PolicyInvalid, PolicySet
from muster.domains.control.policies.models import Policy
from muster.domains.control.policies.notation import judged_by
from muster.kernel.cached import Cached
from muster.kernel.db import Database, after_commit
from muster.kernel.live import LiveBus
from muster.kernel.logging import get_logger

TOPIC = "policies"

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectPolicies:
    """The enabled policies of a project.

    `unreadable` names those that this release cannot judge by, made by another one: where there
    are any, nothing can be allowed, since nobody knows what they forbid.
    """

    fingerprint: tuple[tuple[str, int], ...]
    policies: PolicySet
    unreadable: tuple[str, ...] = ()


Policies = Mapping[str, ProjectPolicies]
"""By project; a project without an enabled policy is not there."""


class CompiledPolicies:
    """What a process knows of the policies of all projects."""

    def __init__(self, database: Database, live: LiveBus) -> None:
        version: Any = select(
            func.count(Policy.id), func.sum(Policy.version), func.max(Policy.updated_at)
        )
        self._known: dict[str, ProjectPolicies] = {}
        self._cached = Cached(database, live, topic=TOPIC, version=version, load=self._load)

    async def of(
        self, project_id: str, session: AsyncSession | None = None
    ) -> ProjectPolicies | None:
        """Return the policies of a project, or None where it has none.

        Who holds a session gives it.
        """
        return (await self._cached.get(session)).get(project_id)

    async def _load(self, session: AsyncSession) -> Policies:
        query = select(Policy).where(Policy.enabled, Policy.deleted_at.is_(None))
        found: defaultdict[str, list[Policy]] = defaultdict(list)
        for policy in await session.scalars(query.order_by(Policy.created_at, Policy.id)):
            found[policy.project_id].append(policy)
        # A project whose policies are the same keeps them, and with them what its runs remember.
        self._known = {
            project_id: self._compiled(project_id, rows) for project_id, rows in found.items()
        }
        return self._known

    def _compiled(self, project_id: str, rows: Sequence[Policy]) -> ProjectPolicies:
        fingerprint = tuple((row.id, row.version) for row in rows)
        known = self._known.get(project_id)
        return known if known and known.fingerprint == fingerprint else _compile(fingerprint, rows)


def _compile(fingerprint: tuple[tuple[str, int], ...], rows: Sequence[Policy]) -> ProjectPolicies:
    readable: list[engine.Policy] = []
    unreadable: list[str] = []
    for row in rows:
        try:
            readable.append(judged_by(row))
        except PolicyInvalid:
            logger.exception("policy_unreadable", policy_id=row.id)
            unreadable.append(row.name)
    return ProjectPolicies(fingerprint, PolicySet(readable), tuple(unreadable))


def announce(session: AsyncSession, live: LiveBus) -> None:
    """Let every process read the policies again when the unit of work is committed."""

    async def publish() -> None:
        live.publish(TOPIC, {"type": "changed"})

    after_commit(session, publish)
