"""HTTP conventions: the application class, routers, problems, sessions of a request."""

from muster.kernel.http.app import App
from muster.kernel.http.headers import header
from muster.kernel.http.lazy import LazyRouter
from muster.kernel.http.problems import Problem, problems
from muster.kernel.http.routing import Router
from muster.kernel.http.sessions import Db, Reading, Sealing, Writing, database_of

__all__ = [
    "App",
    "Db",
    "LazyRouter",
    "Problem",
    "Reading",
    "Router",
    "Sealing",
    "Writing",
    "database_of",
    "header",
    "problems",
]
