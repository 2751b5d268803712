"""Statements that are compiled once for all tests of a worker.

An engine of SQLAlchemy keeps what it compiled, for its own dialect. Each test has engines of its
own, so that each would compile every statement anew, which costs more than to execute it.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache

import muster.engine.connection as engine
import muster.kernel.db.database as product

_MANY = 5_000
"""More statements than the product has: the usual 500 would drive each other out."""

_known: dict[tuple[object, ...], tuple[Dialect, LRUCache[Any, Any]]] = {}


def share() -> None:
    """Give every engine of the product the dialect, and what was compiled, of the first like it."""
    for module, name in (
        (product, "create_async_engine"),
        (product, "create_engine"),
        (engine, "create_engine"),
    ):
        setattr(module, name, _sharing(getattr(module, name)))


def _learning(own: Dialect, shared: Dialect) -> Callable[..., None]:
    """Return what tells the shared dialect of the server: only an engine's own one asks it."""

    def learn(*_: object) -> None:
        for name, value in vars(own).items():
            vars(shared).setdefault(name, value)

    return learn


def _sharing(make: Callable[..., Any]) -> Callable[..., Any]:
    def make_alike(url: Any, **options: Any) -> Any:
        made = make(url, **options)
        sync = getattr(made, "sync_engine", made)
        alike = (make, sync.dialect.name, sync.dialect.driver, *sorted(options))
        compiled = (sync.dialect, LRUCache[Any, Any](_MANY))
        sync.dialect, sync._compiled_cache = _known.setdefault(alike, compiled)
        event.listen(sync.pool, "connect", _learning(compiled[0], sync.dialect))
        return made

    return make_alike
