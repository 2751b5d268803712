"""The schema of the database, for commands (interim)."""

from muster.kernel.db import Base, Database
from muster.kernel.settings import Settings


async def bring_up_to_date(settings: Settings) -> None:
    import muster.entrypoints.assembly  # noqa: F401

    database = Database(settings.database)
    async with database.connect() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await database.dispose()


async def require_current(settings: Settings) -> None:
    """Nothing yet."""
