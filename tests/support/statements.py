"""Statements that are compiled once for all tests of a worker.

An engine of SQLAlchemy keeps what it compiled, for its own dialect. Each test has engines of its
own, so that each would compile every statement anew, which costs more than to execute it.
"""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

import muster.kernel.db.database as product

_known: dict[tuple[object, ...], tuple[Any, Any]] = {}


def share() -> None:
    """Give every engine of the product the dialect, and what was compiled, of the first like it."""
    make = product.create_async_engine

    def make_alike(url: Any, **options: Any) -> AsyncEngine:
        engine = make(url, **options)
        sync: Any = engine.sync_engine
        alike = (sync.dialect.name, sync.dialect.driver, *sorted(options))
        compiled = (sync.dialect, sync._compiled_cache)
        sync.dialect, sync._compiled_cache = _known.setdefault(alike, compiled)
        return engine

    product.create_async_engine = make_alike
