"""Secrets in what is configured for a task: they lie in the vault, and go with the task."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

from sqlalchemy import Text, or_, select
from sqlalchemy import cast as as_type
from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.tools import MAX_SECRET, seal_configuration
from muster.domains.work.tasks.errors import TaskSecretsRefused
from muster.domains.work.tasks.models import Task
from muster.kernel.crypto import MasterKey
from muster.kernel.errors import Invalid
from muster.platform.access import Caller, Scope
from muster.platform.vault import SecretNotFound, VaultService

_SERVICE = "tool"


class TaskSecrets:
    """The secrets of tasks, for one caller."""

    def __init__(self, session: AsyncSession, caller: Caller, master_key: MasterKey) -> None:
        self._session, self._caller = session, caller
        self._vault = VaultService(session, caller, master_key)

    async def seal(self, config: dict[str, Any], task_id: str, part: str) -> dict[str, Any]:
        """Move the secrets in a configuration into the vault; return it with their names."""
        sealed, secrets = seal_configuration(config, f"{_owner(task_id)}{part}")
        if secrets and not self._caller.may(Scope.SECRETS_WRITE):
            raise TaskSecretsRefused
        for name, value in secrets.items():
            if len(value) > MAX_SECRET:
                raise Invalid(f"The secret {name} is longer than {MAX_SECRET} characters.")
            await self._vault.set(name, value, service=_SERVICE)
        return sealed

    async def drop(self, task: Task) -> None:
        """Delete the secrets of a task, unless a copy of it uses them."""
        owner = _owner(task.id)
        names = {name for name in _texts([task.spec, task.kept]) if owner in name}
        if not names:
            return
        inside = [as_type(column, Text).contains(owner) for column in (Task.spec, Task.kept)]
        others = select(Task.id).where(
            Task.project_id == task.project_id, Task.id != task.id, or_(*inside)
        )
        if await self._session.scalar(others.limit(1)) is not None:
            return
        for name in sorted(names):
            with suppress(SecretNotFound):
                await self._vault.delete(name)


def _owner(task_id: str) -> str:
    return f"task.{task_id}."


def _texts(node: Any) -> Iterator[str]:
    """Yield the names of secrets in a document."""
    if isinstance(node, dict):
        fields = cast("dict[str, Any]", node)
        if isinstance(named := fields.get("$secret"), str):
            yield named
        node = list(fields.values())
    if isinstance(node, list):
        for inner in cast("list[Any]", node):
            yield from _texts(inner)
