"""The schema of the database, as commands need and show it."""

from muster.entrypoints.cli.options import read_settings
from muster.entrypoints.cli.terminal import Refusal, say
from muster.kernel.settings import Settings
from muster.migrations import current, head, upgrade


async def bring_up_to_date(settings: Settings) -> None:
    """Bring the database to the newest schema; makes it where there is none."""
    await upgrade(settings.database)


async def require_current(settings: Settings) -> None:
    """Refuse a database that this release cannot work on as it is."""
    found, newest = await current(settings.database), head()
    if found != newest:
        raise Refusal(
            f"The database has the schema {found or 'of no release'}, this release of Muster "
            f"needs {newest}. Run `muster db upgrade`; `muster serve` does so by itself."
        )


async def revisions(settings: Settings) -> tuple[str | None, str]:
    """Return the schema that the database has, and the newest that this release knows."""
    return await current(settings.database), head()


async def show_upgrade() -> None:
    """Bring the database to the newest schema, and say what was done."""
    settings = read_settings()
    settings.refuse_unsafe()
    before = await current(settings.database)
    await bring_up_to_date(settings)
    if before == head():
        say(f"The database has the schema {before} already, the newest.")
    else:
        say(f"The database went from {before or 'nothing'} to {head()}.")


async def show_current() -> int:
    """Say which schema the database has. Return 1 when it is not the newest."""
    settings = read_settings()
    settings.refuse_unsafe()
    found, newest = await revisions(settings)
    say(f"The database has {found or 'no schema'}; the newest is {newest}.")
    return int(found != newest)
