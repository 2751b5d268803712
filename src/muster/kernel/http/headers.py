"""Headers of requests, read straight from what the server has received."""

from starlette.types import Scope


def header(scope: Scope, name: str) -> str | None:
    """Return the first header of a name, in lower case; None where there is none.

    A miss in Starlette's own mapping is an exception that is raised and caught, and most of what
    every request is asked for is not there.
    """
    wanted = name.encode()
    for key, value in scope["headers"]:
        if key == wanted:
            return str(value, "latin-1")
    return None
