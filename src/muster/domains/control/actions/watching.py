"""Which actions want to hear of an incident, and telling them in the incident's own unit of work.

What is enqueued is committed with the incident, or not at all: nothing is lost in between.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import Agent
from muster.domains.control.actions.models import Action
from muster.domains.control.incidents import SEVERITIES, Incident
from muster.kernel import clock
from muster.kernel.cached import Cached
from muster.kernel.db import Database, after_commit, before_commit
from muster.kernel.live import LiveBus
from muster.platform.deliveries import Courier, Happening
from muster.platform.events import EventRecord

SOURCE_KIND = "action"
TOPIC = "actions"

_SHOWN = (
    *("id", "title", "description", "severity", "status", "action", "count"),
    *("policy_id", "policy_name", "rule_type", "agent_id", "environment"),
    *("task_id", "run_id", "step_name", "step_kind"),
    *("first_occurrence", "last_occurrence"),
)
_PENDING = "incidents_told"


@dataclass(frozen=True, slots=True)
class Subscription:
    """An enabled action, as far as it says what it wants to hear of."""

    action_id: str
    name: str
    events: frozenset[str]
    severities: frozenset[str]
    policy_ids: frozenset[str]
    agent_ids: frozenset[str]
    environments: frozenset[str]

    @classmethod
    def of(cls, action: Action) -> "Subscription":
        """Return what an action wants to hear of."""
        on = action.criteria
        severities = frozenset(on["severities"] or SEVERITIES)
        if (least := on["min_severity"]) is not None:
            severities &= frozenset(SEVERITIES[SEVERITIES.index(least) :])
        return cls(
            action.id,
            action.name,
            frozenset(on["events"]),
            severities,
            frozenset(on["policy_ids"]),
            frozenset(on["agent_ids"]),
            frozenset(on["environments"]),
        )

    def wants(self, event_type: str, incident: Mapping[str, Any]) -> bool:
        """Tell whether this happening fits every condition."""
        return (
            event_type in self.events
            and incident["severity"] in self.severities
            and (not self.policy_ids or incident["policy_id"] in self.policy_ids)
            and (not self.agent_ids or incident["agent_id"] in self.agent_ids)
            and (not self.environments or incident["environment"] in self.environments)
        )


Subscriptions = Mapping[str, Sequence[Subscription]]


async def _load(session: AsyncSession) -> Subscriptions:
    found: defaultdict[str, list[Subscription]] = defaultdict(list)
    for action in await session.scalars(select(Action).where(Action.enabled).order_by(Action.id)):
        found[action.project_id].append(Subscription.of(action))
    return dict(found)


def announce(session: AsyncSession, live: LiveBus) -> None:
    """Let every process read the actions again when the unit of work is committed."""

    async def publish() -> None:
        live.publish(TOPIC, {"type": "changed"})

    after_commit(session, publish)


class IncidentWatcher:
    """Hears of every fact about incidents, and enqueues what actions do about it.

    Args:
        database: The database.
        live: The live bus.
        courier: Delivers.
        public_url: Where people reach the server, for links.
    """

    def __init__(
        self, database: Database, live: LiveBus, courier: Courier, public_url: str | None
    ) -> None:
        version: Any = select(func.count(Action.id), func.max(Action.updated_at))
        self._actions: Cached[Subscriptions] = Cached(
            database, live, topic=TOPIC, version=version, load=_load
        )
        self._courier, self._public_url = courier, (public_url or "").rstrip("/")

    def __call__(self, session: AsyncSession, incident: Incident, event_type: str) -> None:
        """Take note of a fact that was recorded; it is looked at when the event has its number."""
        told: dict[tuple[str, str], Incident] = session.info.setdefault(_PENDING, {})
        told[event_type, incident.id] = incident

        async def enqueue() -> None:
            await self._enqueue(session)

        before_commit(session, "actions", enqueue)

    async def _enqueue(self, session: AsyncSession) -> None:
        told: dict[tuple[str, str], Incident] = session.info.pop(_PENDING, {})
        actions = await self._actions.get(session)
        for (event_type, _), incident in told.items():
            shown = shown_incident(incident)
            wanted = [
                action
                for action in actions.get(incident.project_id, ())
                if action.wants(event_type, shown)
            ]
            if not wanted:
                continue
            event = await _event(session, incident, event_type)
            data = {
                "incident": shown,
                "agent": await _agent(session, incident),
                "url": self._link(incident.id),
            }
            for action in wanted:
                message = {
                    "id": event.id,
                    "type": event_type,
                    "timestamp": clock.iso(event.created_at),
                    "sequence": event.seq,
                    "project_id": incident.project_id,
                    "action": {"id": action.action_id, "name": action.name},
                    "data": data,
                }
                self._courier.enqueue(
                    session,
                    incident.project_id,
                    source_kind=SOURCE_KIND,
                    source_id=action.action_id,
                    happening=Happening(
                        event_type=event_type,
                        message=message,
                        event_id=event.id,
                        event_seq=event.seq,
                    ),
                )

    def _link(self, incident_id: str) -> str | None:
        return f"{self._public_url}/api/v1/incidents/{incident_id}" if self._public_url else None


def shown_incident(incident: Incident) -> dict[str, Any]:
    """Return what receivers are told of an incident. Its details stay in it."""
    values = {name: getattr(incident, name) for name in _SHOWN}
    for name in ("first_occurrence", "last_occurrence"):
        values[name] = clock.iso(values[name])
    return values


async def _event(session: AsyncSession, incident: Incident, event_type: str) -> Any:
    # Written a moment ago in this unit of work, and nobody else's is behind it.
    query = (
        select(EventRecord.id, EventRecord.seq, EventRecord.created_at)
        .where(
            EventRecord.chain == incident.project_id,
            EventRecord.type == event_type,
            EventRecord.subject_id == incident.id,
        )
        .order_by(EventRecord.seq.desc())
        .limit(1)
    )
    return (await session.execute(query)).one()


async def _agent(session: AsyncSession, incident: Incident) -> dict[str, Any] | None:
    query = select(Agent.id, Agent.key, Agent.name).where(
        Agent.id == incident.agent_id, Agent.project_id == incident.project_id
    )
    found = (await session.execute(query)).one_or_none()
    return None if found is None else {"id": found.id, "key": found.key, "name": found.name}
