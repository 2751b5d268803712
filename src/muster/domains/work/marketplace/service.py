"""What people do in the marketplace. Knows nothing of HTTP."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.work.marketplace.bundles import KINDS, Bundle, Kind
from muster.domains.work.marketplace.errors import (
    BundleInstalled,
    MarketplaceForbidden,
    NamesTaken,
)
from muster.domains.work.marketplace.events import MarketplaceInstalled, MarketplaceUninstalled
from muster.domains.work.marketplace.models import Installation
from muster.domains.work.marketplace.rendering import Choices, Rendered
from muster.domains.work.marketplace.repository import InstallationRepository
from muster.domains.work.marketplace.schemas import (
    InstallationOut,
    InstalledThing,
    KeptThing,
    Reference,
    State,
    UninstallResult,
)
from muster.domains.work.marketplace.shelves import (
    SHELVES,
    Makers,
    fingerprint,
    names_taken,
    rows_of,
)
from muster.kernel.crypto import MasterKey
from muster.kernel.live import LiveBus
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller, Scope


class MarketplaceService:
    """Installs bundles and takes them back, for one caller."""

    def __init__(
        self, session: AsyncSession, caller: Caller, master_key: MasterKey, live: LiveBus
    ) -> None:
        self._session, self._caller = session, caller
        self._installations = InstallationRepository(session, caller.project_id)
        self._makers = Makers(session, caller, master_key, live)

    async def install(
        self, bundle: Bundle, choices: Choices, rendered: Rendered
    ) -> tuple[Installation, bool]:
        """Make all that a bundle makes; returns the installation, and whether it is new.

        Of many that install one bundle at once, one does. Raises `NamesTaken`.
        """
        require_may_make(self._caller, rendered)
        try:
            async with self._session.begin_nested():
                installation = await self._installations.add(
                    bundle_id=bundle.id,
                    version=bundle.version,
                    model=choices.model,
                    prefix=choices.prefix,
                    parameters=dict(choices.parameters),
                    created=[],
                    installed_by_id=self._caller.key_id or self._caller.id,
                    installed_by_name=self._caller.name,
                )
        except BundleInstalled:
            known = await self._installations.of(bundle.id)
            if known is None:
                raise BundleInstalled("It was removed at this moment; install it again.") from None
            return known, False
        if taken := await self.conflicts(rendered):
            named = ", ".join(f"{one.kind} {one.name}" for one in taken)
            raise NamesTaken(
                f"The project already has {named}. Rename or delete them, or give a prefix.",
                details={"conflicts": [one.model_dump() for one in taken]},
            )
        created: list[dict[str, Any]] = []
        for thing in rendered.things:
            row = await self._makers.make(thing)
            created.append(
                {
                    "kind": thing.kind,
                    "id": row.id,
                    "name": thing.name,
                    "uses": [list(made) for made in thing.uses],
                    "fingerprint": fingerprint(row),
                }
            )
        await self._installations.update(installation, created=created)
        fact = MarketplaceInstalled(
            installation_id=installation.id,
            template_id=bundle.id,
            version=bundle.version,
            model=choices.model,
            created=[f"{one['kind']}:{one['id']}" for one in created],
        )
        events.record(self._session, self._caller, fact)
        return installation, True

    async def conflicts(self, rendered: Rendered) -> list[Reference]:
        """Return names that a bundle needs and that other things of the project have."""
        found: list[Reference] = []
        for kind in KINDS:
            names = {thing.name for thing in rendered.things if thing.kind == kind}
            if names:
                taken = await names_taken(self._session, self._caller.project_id, kind, names)
                found += [Reference(kind=kind, id=None, name=name) for name in taken]
        return found

    async def of(self, bundle: Bundle) -> Installation | None:
        return await self._installations.of(bundle.id)

    async def installed(self) -> dict[str, str]:
        """Return the ids of the installations by those of their bundles."""
        return await self._installations.by_bundle()

    async def list(self, params: ListParams, names: Mapping[str, str]) -> Rows[InstallationOut]:
        """Return installations, newest first, and how what they have made stands.

        Args:
            params: Which page.
            names: Of the bundles, by id.
        """
        rows = await self._installations.all(params)
        made = [one for row in rows.items for one in row.created]
        present = await self._present(made)
        shown = [
            InstallationOut(
                id=row.id,
                template_id=row.bundle_id,
                name=names.get(row.bundle_id, row.bundle_id),
                version=row.version,
                model=row.model,
                prefix=row.prefix,
                parameters=row.parameters,
                things=[
                    InstalledThing(
                        kind=one["kind"],
                        id=one["id"],
                        name=one["name"],
                        state=_state(one, present),
                    )
                    for one in row.created
                ],
                installed_by_id=row.installed_by_id,
                installed_by_name=row.installed_by_name,
                group_id=row.project_id,
                created_at=row.created_at,
                updated_at=row.updated_at,
            )
            for row in rows.items
        ]
        return Rows(shown, rows.total, rows.limit, rows.offset, rows.has_more)

    async def uninstall(self, bundle_id: str, *, force: bool) -> UninstallResult:
        """Remove what an installation has made and nobody has changed since.

        What is kept needs what it uses, so that is kept as well. Raises `BundleNotInstalled`.
        """
        installation = await self._installations.held(bundle_id)
        require_may_remove(self._caller, installation.created)
        present = await self._present(installation.created, hold=True)
        reasons = {} if force else _reasons_to_keep(installation.created, present)
        removed: list[Reference] = []
        kept: list[KeptThing] = []
        missing: list[Reference] = []
        # The other way round than they were made: what refers goes before what is referred to.
        for one in reversed(installation.created):
            thing = reference_of(one)
            if one["id"] not in present:
                missing.append(thing)
            elif reason := reasons.get((one["kind"], one["name"])):
                kept.append(KeptThing(**thing.model_dump(), reason=reason))
            else:
                await self._makers.remove(one["kind"], one["id"])
                removed.append(thing)
        fact = MarketplaceUninstalled(
            installation_id=installation.id,
            template_id=installation.bundle_id,
            version=installation.version,
            removed=[f"{one.kind}:{one.id}" for one in removed],
            kept=[f"{one.kind}:{one.id}" for one in kept],
        )
        await self._installations.delete(installation)
        events.record(self._session, self._caller, fact)
        return UninstallResult(
            template_id=bundle_id,
            installation_id=fact.installation_id,
            removed=removed,
            kept=kept,
            missing=missing,
        )

    async def _present(
        self, created: Sequence[Mapping[str, Any]], *, hold: bool = False
    ) -> dict[str, Any]:
        present: dict[str, Any] = {}
        for kind in KINDS:
            ids = [one["id"] for one in created if one["kind"] == kind]
            if ids:
                project_id = self._caller.project_id
                present |= await rows_of(self._session, project_id, kind, ids, hold=hold)
        return present


def reference_of(created: Mapping[str, Any]) -> Reference:
    """Return something that an installation has made as it is shown."""
    return Reference(kind=created["kind"], id=created["id"], name=created["name"])


def _state(created: Mapping[str, Any], present: Mapping[str, Any]) -> State:
    row = present.get(created["id"])
    if row is None:
        return "missing"
    return "unchanged" if fingerprint(row) == created["fingerprint"] else "changed"


def _reasons_to_keep(
    created: Sequence[Mapping[str, Any]], present: Mapping[str, Any]
) -> dict[tuple[str, str], str]:
    reasons: dict[tuple[str, str], str] = {}
    # Whatever refers to something was made after it.
    for one in reversed(created):
        key = (one["kind"], one["name"])
        if _state(one, present) == "changed":
            reasons[key] = "It was changed since it was installed."
        if key in reasons and one["id"] in present:
            for used in cast("list[list[str]]", one["uses"]):
                text = f"The {one['kind']} {one['name']}, which is kept, uses it."
                reasons.setdefault((used[0], used[1]), text)
    return reasons


def require_may_make(caller: Caller, rendered: Rendered) -> None:
    """Raise `MarketplaceForbidden` unless the caller may make all that a bundle makes."""
    kinds = {thing.kind for thing in rendered.things}
    _require(caller, kinds)
    if "trigger" in kinds and not caller.may(Scope.RUNS_EXECUTE):
        raise MarketplaceForbidden("The template makes a trigger: that needs runs:execute.")


def require_may_remove(caller: Caller, created: Sequence[Mapping[str, Any]]) -> None:
    """Raise `MarketplaceForbidden` unless the caller may remove what a bundle has made."""
    _require(caller, {one["kind"] for one in created})


def _require(caller: Caller, kinds: set[Kind] | set[Any]) -> None:
    lacking = sorted({SHELVES[kind].scope for kind in kinds if not caller.may(SHELVES[kind].scope)})
    if lacking:
        raise MarketplaceForbidden(
            f"The template has things for which the caller also needs {', '.join(lacking)}."
        )
