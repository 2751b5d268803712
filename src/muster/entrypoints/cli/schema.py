"""The schema of the database, for commands (interim)."""

from muster.entrypoints.cli.terminal import say
from muster.kernel.db import Base, Database
from muster.kernel.settings import Settings


async def bring_up_to_date(settings: Settings) -> None:
    import muster.entrypoints.assembly  # noqa: F401

    database = Database(settings.database)
    async with database.write() as session:
        await (await session.connection()).run_sync(Base.metadata.create_all)
    await database.dispose()


async def require_current(settings: Settings) -> None:
    """Nothing yet."""


async def revisions(settings: Settings) -> tuple[str | None, str]:
    return "x", "x"


async def show_upgrade() -> None:
    from muster.entrypoints.cli.options import read_settings

    await bring_up_to_date(read_settings())
    say("x")


async def show_current() -> int:
    say("x")
    return 0
