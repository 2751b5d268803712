"""An installation from what was asked to what is answered, for real or as a trial."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from muster.domains.work.marketplace.bundles import Bundle
from muster.domains.work.marketplace.models import Installation
from muster.domains.work.marketplace.presenting import example
from muster.domains.work.marketplace.rendering import Choices, Rendered, chosen, render
from muster.domains.work.marketplace.schemas import (
    InstallProblem,
    InstallRequest,
    InstallResult,
    Reference,
)
from muster.domains.work.marketplace.service import (
    MarketplaceService,
    reference_of,
    require_may_make,
)
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.kernel.live import LiveBus
from muster.platform.access import Caller


class Models(Protocol):
    """Says why models cannot be used."""

    async def problems(
        self, project_id: str, references: Collection[str]
    ) -> Mapping[str, str | None]: ...


class Tools(Protocol):
    """Says why tools cannot be used."""

    async def problems(
        self, project_id: str, names: Sequence[str], configs: Mapping[str, dict[str, Any]]
    ) -> list[tuple[str, str]]: ...


class _TakenBack(Exception):
    """Ends a unit of work without keeping anything of it."""


class Installer:
    """Installs bundles for one caller, in one unit of work each.

    Model servers are asked before it begins, so that nothing is held meanwhile.
    """

    def __init__(
        self,
        database: Database,
        caller: Caller,
        master_key: MasterKey,
        live: LiveBus,
        models: Models,
        tools: Tools,
    ) -> None:
        self._database, self._caller = database, caller
        self._master_key, self._live = master_key, live
        self._models, self._tools = models, tools

    async def install(self, bundle: Bundle, body: InstallRequest) -> InstallResult:
        """Install a bundle, or only try to."""
        choices = chosen(bundle, body.model, body.prefix, body.parameters)
        rendered = await asyncio.to_thread(render, bundle, choices)
        require_may_make(self._caller, rendered)
        problems = await self._problems(rendered)
        if body.dry_run:
            return await self._try(bundle, choices, rendered, problems)
        async with self._database.write() as session:
            installation, is_new = await self._service(session).install(bundle, choices, rendered)
        return self._shown(bundle, installation, problems, dry_run=False, is_new=is_new)

    async def _try(
        self, bundle: Bundle, choices: Choices, rendered: Rendered, problems: list[InstallProblem]
    ) -> InstallResult:
        async with self._database.read() as session:
            service = self._service(session)
            known = await service.of(bundle)
            conflicts = [] if known else await service.conflicts(rendered)
        if known is not None:
            return self._shown(bundle, known, problems, dry_run=True, is_new=False)
        if not conflicts:
            with suppress(_TakenBack):
                async with self._database.write() as session:
                    await self._service(session).install(bundle, choices, rendered)
                    raise _TakenBack
        return InstallResult(
            template_id=bundle.id,
            version=bundle.version,
            model=choices.model,
            dry_run=True,
            status="would_conflict" if conflicts else "would_install",
            installation_id=None,
            things=[Reference(kind=one.kind, id=None, name=one.name) for one in rendered.things],
            conflicts=conflicts,
            problems=problems,
            example=example(bundle, rendered),
        )

    def _service(self, session: Any) -> MarketplaceService:
        return MarketplaceService(session, self._caller, self._master_key, self._live)

    async def _problems(self, rendered: Rendered) -> list[InstallProblem]:
        project_id = self._caller.project_id
        models = await self._models.problems(project_id, sorted(rendered.models))
        tools = await self._tools.problems(project_id, sorted(rendered.tools), {})
        return [
            InstallProblem(kind="model", name=name, message=problem)
            for name, problem in models.items()
            if problem
        ] + [InstallProblem(kind="tool", name=name, message=problem) for name, problem in tools]

    def _shown(
        self,
        bundle: Bundle,
        installation: Installation,
        problems: list[InstallProblem],
        *,
        dry_run: bool,
        is_new: bool,
    ) -> InstallResult:
        # What is there may have been installed with other names and another model.
        choices = Choices(
            model=installation.model,
            prefix=installation.prefix,
            parameters={
                **chosen(bundle, None, None, {}).parameters,
                **installation.parameters,
            },
        )
        return InstallResult(
            template_id=bundle.id,
            version=installation.version,
            model=installation.model,
            dry_run=dry_run,
            status="installed" if is_new else "already_installed",
            installation_id=installation.id,
            things=[reference_of(one) for one in installation.created],
            conflicts=[],
            problems=problems,
            example=example(bundle, render(bundle, choices)),
        )
