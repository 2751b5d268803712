"""Dependencies of the routes: the caller, with the scope that the operation declares.

How a caller is found out is set up by the composition root (`app.state.authenticate`), so that
this package needs no table.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from muster.kernel.errors import Forbidden
from muster.platform.access.caller import Caller
from muster.platform.access.scopes import Scope

LOGIN = "login"


class InsufficientRole(Forbidden):
    code, title = "insufficient_role", "Your role does not allow this"


async def current_caller(connection: HTTPConnection) -> Caller:
    """Return the caller of this request; found out once."""
    known: Caller | None = getattr(connection.state, "caller", None)
    if known is None:
        authenticate: Callable[[HTTPConnection], Awaitable[Caller]]
        authenticate = connection.app.state.authenticate
        known = connection.state.caller = await authenticate(connection)
    return known


async def identify(connection: HTTPConnection) -> str:
    """Return the id under which the caller's idempotency keys are kept."""
    caller = await current_caller(connection)
    return caller.key_id or caller.id


CurrentCaller = Annotated[Caller, Depends(current_caller)]


def requires(*scopes: Scope) -> Any:
    """Return a dependency that yields the caller, if the caller has one of the scopes.

    Use: `CanRead = Annotated[Caller, requires(Scope.AGENTS_READ)]`.
    """

    async def check(caller: CurrentCaller) -> Caller:
        if not any(caller.may(scope) for scope in scopes):
            raise InsufficientRole(
                f"This needs the scope {' or '.join(scopes)}, which your role in this project or "
                "your key does not have; ask an owner of the project."
            )
        return caller

    check.required_scope = " or ".join(scopes)  # pyright: ignore[reportFunctionMemberAccess]
    return Depends(check)


def requires_login() -> Any:
    """Return a dependency that yields the caller, whoever it is."""

    async def check(caller: CurrentCaller) -> Caller:
        return caller

    check.required_scope = LOGIN  # pyright: ignore[reportFunctionMemberAccess]
    return Depends(check)
