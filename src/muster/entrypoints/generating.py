"""Putting together how generation finds and asks models."""

import re

from muster.adapters.models import ModelReply, ModelRequest
from muster.domains.catalogue.models import (
    BUILTIN_MODEL,
    Admission,
    CallableModel,
    ModelCatalogue,
)
from muster.domains.catalogue.models.repository import ModelRepository
from muster.kernel.db import Database
from muster.platform.access import Caller

_NO_CHAT = re.compile(
    r"embed|whisper|tts|speech|transcri|dall-e|image|moderation|rerank|realtime|audio|sora|davinci"
    r"|babbage",
    re.IGNORECASE,
)
"""Names of models that providers list beside those which answer in text."""


class GeneratingModels:
    """The models of all projects, asked outside of runs.

    Args:
        models: Finds them.
        database: Where the projects' own are.
        admission: Lets calls through that budgets, breakers and access rules allow.
    """

    def __init__(self, models: ModelCatalogue, database: Database, admission: Admission) -> None:
        self._models, self._database, self._admission = models, database, admission

    async def default(self, project_id: str) -> str:
        """Return the project's first model that can be called, else the first that is listed."""
        async with self._database.read() as session:
            rows = await ModelRepository(session, project_id).all()
            own = [row.name for row in rows if row.enabled]
        problems = await self._models.problems(project_id, own)
        listed = [named.name for named in await self._models.names.all()]
        usable = [name for name in own if problems[name] is None]
        usable += [name for name in listed if name != BUILTIN_MODEL]
        return next((name for name in usable if not _NO_CHAT.search(name)), BUILTIN_MODEL)

    async def resolve(self, project_id: str, reference: str) -> CallableModel:
        """Return the model that a reference means; raises why it cannot be called."""
        return await self._models.resolve(project_id, reference)

    async def problem(self, project_id: str, reference: str) -> str | None:
        """Return why `resolve` would refuse a reference, or None."""
        return await self._models.problem(project_id, reference)

    async def ask(self, caller: Caller, model: CallableModel, request: ModelRequest) -> ModelReply:
        """Call a model, if budgets, breakers and access rules let it."""
        # What the calls' operations are made of is not needed before the first of them.
        from muster.domains.catalogue.models.calling import ask

        return await ask(self._admission, caller, model, request)

    async def admit(self, caller: Caller, model: CallableModel, request: ModelRequest) -> None:
        """Raise what `ask` would be refused with, for what is done in a model's name."""
        async with self._admission.admit(caller, model, request) as call:
            call.reply = ModelReply(content="", model=model.name, cost=0.0)
