"""Finds our words for what the HTTP library, or an SDK on top of it, raised."""

from collections.abc import Generator
from contextlib import contextmanager

import httpx2

from muster.kernel.egress.errors import EgressFailed
from muster.kernel.errors import AppError

_IMPROPER = "The address did not answer with proper HTTP. Check that it is right."
_TOLD: dict[type[Exception], str] = {
    httpx2.TooManyRedirects: "The address redirects too often. Give the address it leads to.",
    httpx2.DecodingError: "The answer is compressed in a way that cannot be undone.",
    httpx2.RequestError: _IMPROPER,
    httpx2.InvalidURL: _IMPROPER,
}


def explain(error: BaseException) -> AppError | None:
    """Return the error of Muster behind one that another library raised, or None.

    Looks through causes, contexts and exception groups, so what an SDK made of a failure of its
    HTTP client can be passed on in our words.
    """
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if found := _of(current):
            return found
        waiting.extend(_behind(current))
    return None


@contextmanager
def explained() -> Generator[None]:
    """Raise the error of Muster instead of the library's."""
    try:
        yield
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        # Not `from error`: its cause is what is raised here, and chains must not be circles.
        raise explain(error) or EgressFailed() from None


def _behind(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    if isinstance(error, BaseExceptionGroup):
        found.extend(error.exceptions)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before:
        found.append(before)
    return found


def _of(error: BaseException) -> AppError | None:
    if isinstance(error, AppError):
        return error
    if isinstance(error.__cause__, AppError):
        return error.__cause__
    # The rest is raised by httpx2 above our transport, without a cause of ours.
    return next(
        (EgressFailed(told) for kind, told in _TOLD.items() if isinstance(error, kind)), None
    )
