"""HTTP surface of the marketplace."""

import asyncio
from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from muster.domains.work.marketplace.bundles import bundles
from muster.domains.work.marketplace.errors import (
    BundleInstalled,
    BundleNotFound,
    BundleNotInstalled,
    MarketplaceForbidden,
    NamesTaken,
    ParametersInvalid,
)
from muster.domains.work.marketplace.installing import Installer
from muster.domains.work.marketplace.presenting import detail, find_bundle, listed
from muster.domains.work.marketplace.schemas import (
    BundleTemplateOut,
    InstallationOut,
    InstallRequest,
    InstallResult,
    TemplateList,
    TemplateSummary,
    UninstallParams,
    UninstallResult,
)
from muster.domains.work.marketplace.service import MarketplaceService
from muster.domains.work.tasks import TaskAtWork
from muster.kernel.http import Reading, Router, Sealing, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires

router = Router("/marketplace", tag="Marketplace")

CanRead = Annotated[Caller, requires(Scope.MARKETPLACE_READ)]
CanWrite = Annotated[Caller, requires(Scope.MARKETPLACE_WRITE)]


async def _reader(
    connection: HTTPConnection, caller: CanRead, session: Reading, key: Sealing
) -> MarketplaceService:
    return MarketplaceService(session, caller, key, connection.app.state.live)


async def _writer(
    connection: HTTPConnection, caller: CanWrite, session: Writing, key: Sealing
) -> MarketplaceService:
    return MarketplaceService(session, caller, key, connection.app.state.live)


async def _installer(connection: HTTPConnection, caller: CanWrite, key: Sealing) -> Installer:
    state = connection.app.state
    return Installer(state.database, caller, key, state.live, state.models, state.tools)


Reader = Annotated[MarketplaceService, Depends(_reader)]
Writer = Annotated[MarketplaceService, Depends(_writer)]
Installing = Annotated[Installer, Depends(_installer)]


@router.get("/templates", response_model=Page[TemplateSummary])
async def list_marketplace_templates(
    marketplace: Reader, params: Annotated[TemplateList, Query()]
) -> Rows[TemplateSummary]:
    """List the templates that can be installed, by name."""
    return listed(params, await marketplace.installed())


@router.get("/templates/{template_id}", responses=problems(BundleNotFound))
async def get_marketplace_template(marketplace: Reader, template_id: str) -> BundleTemplateOut:
    """Get a template with everything that it would make."""
    bundle = find_bundle(template_id)
    installation = await marketplace.of(bundle)
    return await asyncio.to_thread(detail, bundle, installation.id if installation else None)


@router.post(
    "/templates/{template_id}/install",
    responses=problems(
        BundleNotFound, NamesTaken, BundleInstalled, ParametersInvalid, MarketplaceForbidden
    ),
)
async def install_marketplace_template(
    installer: Installing, template_id: str, body: InstallRequest | None = None
) -> InstallResult:
    """Install a template: all of its agents, crews, workflows and so on, or nothing.

    `status` tells what was done. To install it again changes nothing and answers
    `already_installed`, with the installation that is there. Names that other things of the project
    have are a 409 that lists them; with a `prefix` the template's things get other names. With
    `dry_run` everything is tried and taken back: the answer tells what would be made, and which
    names are taken.
    """
    return await installer.install(find_bundle(template_id), body or InstallRequest())


@router.delete(
    "/templates/{template_id}/install",
    responses=problems(BundleNotInstalled, MarketplaceForbidden, TaskAtWork),
)
async def uninstall_marketplace_template(
    marketplace: Writer, template_id: str, params: Annotated[UninstallParams, Query()]
) -> UninstallResult:
    """Remove what a template has made, and nothing else.

    What people have changed since is kept, together with what it uses; the answer tells what and
    why. What is kept belongs to nobody but the project from then on. With `force` all of it is
    removed. Runs stay.
    """
    return await marketplace.uninstall(template_id, force=params.force)


@router.get("/installations", response_model=Page[InstallationOut])
async def list_marketplace_installations(
    marketplace: Reader, params: Annotated[ListParams, Query()]
) -> Rows[InstallationOut]:
    """List what is installed, newest first, with how each thing that was made stands."""
    names = {bundle.id: bundle.name for bundle in bundles().values()}
    return await marketplace.list(params, names)
