"""Queries on installations."""

from muster.domains.work.marketplace.errors import BundleInstalled, BundleNotInstalled
from muster.domains.work.marketplace.models import Installation
from muster.kernel.db import Repository
from muster.kernel.paging import ListParams, Rows


class InstallationRepository(Repository[Installation]):
    """The installations of one project."""

    model, missing, taken = Installation, BundleNotInstalled, BundleInstalled

    async def all(self, params: ListParams) -> Rows[Installation]:
        """Return installations, newest first."""
        return await self.page(self.query(), params, (Installation.created_at, True))

    async def by_bundle(self) -> dict[str, str]:
        """Return the ids of the installations by those of the bundles."""
        rows = (await self.session.scalars(self.query())).all()
        return {row.bundle_id: row.id for row in rows}

    async def of(self, bundle_id: str) -> Installation | None:
        """Return the installation of a bundle, if there is one."""
        query = self.query().where(Installation.bundle_id == bundle_id)
        found: Installation | None = await self.session.scalar(query)
        return found

    async def held(self, bundle_id: str) -> Installation:
        """Return the installation of a bundle that nobody else removes meanwhile."""
        query = self.query().where(Installation.bundle_id == bundle_id).with_for_update()
        found: Installation | None = await self.session.scalar(query)
        if found is None:
            raise BundleNotInstalled(
                f"The template {bundle_id} is not installed in this project; "
                "GET /marketplace/installations lists what is."
            )
        return found
