"""DBOS's tables, made ready before any process works on them."""

from muster.engine.options import EngineOptions


async def prepare(options: EngineOptions) -> None:
    """Bring DBOS's tables up to date without starting an engine."""
    # As in `Engine.start`: whoever only imports the engine does not pay for DBOS.
    from muster.engine.system_database import SystemDatabase

    database = SystemDatabase(options)
    try:
        await database.open()
    finally:
        database.close()
