"""What one can do with crews. Knows nothing of HTTP."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.tools import MAX_SECRET, seal_configuration
from muster.domains.work.crews.errors import CrewNameTaken, CrewSecretsRefused
from muster.domains.work.crews.events import CrewCreated, CrewDeleted, CrewRated, CrewUpdated
from muster.domains.work.crews.feedback_schemas import FeedbackCreate, FeedbackSummaryOut
from muster.domains.work.crews.models import Crew, CrewFeedback
from muster.domains.work.crews.repository import CrewRepository, FeedbackRepository
from muster.domains.work.crews.schemas import (
    CrewCreate,
    CrewList,
)
from muster.kernel.crypto import MasterKey
from muster.kernel.errors import Invalid
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller, Scope
from muster.platform.vault import VaultService


class CrewService:
    """Use cases of crews, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller, master_key: MasterKey) -> None:
        self._session, self._caller = session, caller
        self._crews = CrewRepository(session, caller.project_id)
        self._feedback = FeedbackRepository(session, caller.project_id)
        self._vault = VaultService(session, caller, master_key)

    async def list(self, params: CrewList) -> Rows[Crew]:
        return await self._crews.search(params)

    async def get(self, crew_id: str) -> Crew:
        return await self._crews.get(crew_id)

    async def create(self, body: CrewCreate, *, overwrite: bool = False) -> Crew:
        """Make a crew; with `overwrite` one of the same name is replaced instead."""
        values = body.model_dump()
        if overwrite and (known := await self._crews.named(body.name)) is not None:
            return await self._store(await self._crews.held(known.id), values)
        values = await self._sealed(values, body.name)
        try:
            async with self._session.begin_nested():
                crew = await self._crews.add(**values)
        except CrewNameTaken:
            known = await self._crews.named(body.name) if overwrite else None
            if known is None:
                raise _taken(body.name) from None
            return await self._store(await self._crews.held(known.id), values)
        fact = CrewCreated(crew_id=crew.id, name=crew.name)
        events.record(self._session, self._caller, fact)
        return crew

    async def change(self, crew_id: str, changes: dict[str, Any]) -> Crew:
        """Change the given fields of a crew."""
        return await self._store(await self._crews.held(crew_id), changes)

    async def delete(self, crew_id: str) -> None:
        """Delete a crew with what people think of it; its runs stay."""
        crew = await self._crews.held(crew_id)
        await self._crews.delete(crew)
        fact = CrewDeleted(crew_id=crew.id, name=crew.name)
        events.record(self._session, self._caller, fact)

    async def rate(self, crew_id: str, body: FeedbackCreate) -> CrewFeedback:
        """Keep what the caller thinks of a crew."""
        crew = await self._crews.get(crew_id)
        feedback = await self._feedback.add(
            crew_id=crew.id,
            rating=body.rating,
            comment=body.comment or None,
            created_by_id=self._caller.id,
            created_by_name=self._caller.name,
        )
        fact = CrewRated(
            crew_id=crew.id, name=crew.name, feedback_id=feedback.id, rating=feedback.rating
        )
        events.record(self._session, self._caller, fact)
        return feedback

    async def feedback(self, crew_id: str, params: ListParams) -> Rows[CrewFeedback]:
        crew = await self._crews.get(crew_id)
        return await self._feedback.of_crew(crew.id, params)

    async def summary(self, params: CrewList) -> Rows[FeedbackSummaryOut]:
        """Return how crews were rated, newest crew first."""
        rows = await self._crews.search(params)
        counts = await self._feedback.counts([crew.id for crew in rows.items])
        items = [
            _summary(crew, counts.get((crew.id, "up"), 0), counts.get((crew.id, "down"), 0))
            for crew in rows.items
        ]
        return Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)

    async def _store(self, crew: Crew, values: dict[str, Any]) -> Crew:
        sealed = await self._sealed(values, values.get("name", crew.name))
        changes = {name: value for name, value in sealed.items() if _differs(crew, name, value)}
        if not changes:
            return crew
        try:
            async with self._session.begin_nested():
                await self._crews.update(crew, **changes)
        except CrewNameTaken:
            raise _taken(str(changes["name"])) from None
        fact = CrewUpdated(crew_id=crew.id, name=crew.name, changed=sorted(changes))
        events.record(self._session, self._caller, fact)
        return crew

    async def _sealed(self, values: dict[str, Any], name: str) -> dict[str, Any]:
        """Move the secrets in what is configured for the crew's tools into the vault."""
        configs: dict[str, Any] = {}
        for tool, config in values.get("tool_configs", {}).items():
            configs[tool], secrets = seal_configuration(config, f"crew.{name}.{tool}")
            if secrets and not self._caller.may(Scope.SECRETS_WRITE):
                raise CrewSecretsRefused
            for secret, value in secrets.items():
                if len(value) > MAX_SECRET:
                    raise Invalid(f"The secret {secret} is longer than {MAX_SECRET} characters.")
                await self._vault.set(secret, value, service="tool")
        return {**values, "tool_configs": configs} if "tool_configs" in values else values


def _taken(name: str) -> CrewNameTaken:
    return CrewNameTaken(
        f"A crew with the name '{name}' already exists. Please choose a different name."
    )


def _differs(crew: Crew, name: str, value: Any) -> bool:
    present = getattr(crew, name)
    if isinstance(value, dict | list):
        # The order of tasks is part of what they are.
        return repr(value) != repr(present)  # pyright: ignore[reportUnknownArgumentType]
    return bool(present != value)


def _summary(crew: Crew, up: int, down: int) -> FeedbackSummaryOut:
    total = up + down
    return FeedbackSummaryOut(
        id=crew.id,
        crew_id=crew.id,
        crew_name=crew.name,
        up=up,
        down=down,
        total=total,
        share_up=round(up / total, 4) if total else None,
    )
