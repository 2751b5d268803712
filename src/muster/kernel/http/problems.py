"""RFC 9457 problem details: one shape that the clients of every family can read."""

from http import HTTPStatus
from math import isfinite
from typing import Annotated, Any, cast

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from muster.kernel.errors import (
    AppError,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Unauthorized,
    Unavailable,
)
from muster.kernel.logging import get_logger

MEDIA_TYPE = "application/problem+json"
REFS = "#/components/schemas/"
_SENSITIVE = ("password", "secret", "token", "key", "value", "authorization", "credential")
_MAX_INPUT = 200
_BY_STATUS = {
    kind.status: kind
    for kind in (BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, PayloadTooLarge)
}

logger = get_logger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class ValidationItem(BaseModel):
    """One finding of the validation, in the notation of Pydantic."""

    type: str
    loc: list[str | int]
    msg: str
    input: Any = None


class Problem(BaseModel):
    """An RFC 9457 problem. Switch on `error`, show `message`."""

    type: Annotated[str, Field(description="A URI reference that names the kind of problem.")]
    title: str
    status: int
    error: Annotated[str, Field(description="Stable code.")]
    message: Annotated[str, Field(description="What happened and what to do.")]
    detail: Annotated[
        str | list[ValidationItem], Field(description="The message; on 422 the list of findings.")
    ]
    errors: list[FieldProblem]
    details: dict[str, Any]
    request_id: str | None


def build(
    *,
    status: int,
    code: str,
    title: str,
    message: str,
    detail: list[ValidationItem] | None = None,
    errors: list[FieldProblem] | None = None,
    details: dict[str, Any] | None = None,
    request_id: str | None = None,
) -> dict[str, Any]:
    """Return the body of a problem."""
    if detail is None and status == Invalid.status:
        detail = [ValidationItem(type=code, loc=["body"], msg=message)]
    return Problem(
        type=f"/problems/{code}",
        title=title,
        status=status,
        error=code,
        message=message,
        detail=detail or message,
        errors=errors or [],
        details=details or {},
        request_id=request_id,
    ).model_dump()


def _respond(
    request: Request, body: dict[str, Any], headers: dict[str, str] | None = None
) -> JSONResponse:
    body["request_id"] = getattr(request.state, "request_id", None)
    return JSONResponse(
        body, status_code=body["status"], headers=headers or {}, media_type=MEDIA_TYPE
    )


async def app_error(request: Request, error: Exception) -> JSONResponse:
    """Render an expected failure."""
    known = cast("AppError", error)
    field_errors = [FieldProblem(field=e.field, message=e.message) for e in known.errors]
    findings: list[ValidationItem] | None = None
    if known.status == Invalid.status:
        findings = [
            ValidationItem(type=known.code, loc=["body", *e.field.split(".")], msg=e.message)
            for e in known.errors
        ] or None
    body = build(
        status=known.status,
        code=known.code,
        title=known.title,
        message=known.detail,
        detail=findings,
        errors=field_errors,
        details=known.details,
    )
    return _respond(request, body, known.headers)


async def validation_error(request: Request, error: Exception) -> JSONResponse:
    """Render what the validation of a request found."""
    found = cast("RequestValidationError", error).errors()
    items = [
        ValidationItem(
            type=str(item["type"]),
            loc=[part if isinstance(part, int) else _printable(part) for part in item["loc"]],
            msg=_printable(item["msg"]),
            input=_shown(item),
        )
        for item in found
    ]
    for item, cause in zip(items, found, strict=True):
        if item.type == "json_invalid":
            # The framework gives the position as if it were a field.
            item.loc = ["body"]
            item.msg = f"The body is not valid JSON: {_printable(cause['ctx']['error'])}"
    fields = [FieldProblem(field=_field(item.loc), message=item.msg) for item in items]
    message = "; ".join(f"{f.field}: {f.message}" for f in fields[:5]) or Invalid.title
    body = build(
        status=Invalid.status,
        code=Invalid.code,
        title=Invalid.title,
        message=message,
        detail=items,
        errors=fields,
    )
    return _respond(request, body)


def _field(loc: list[str | int]) -> str:
    inner = loc[1:] if len(loc) > 1 else loc
    return ".".join(map(str, inner))


def _printable(text: object) -> str:
    return str(text).encode("utf-8", "replace").decode()


def _shown(item: dict[str, Any]) -> Any:
    """Return what was sent, unless it may be a secret or is long."""
    value = item.get("input")
    if tuple(item["loc"]) == ("body",):
        return {}  # what it is meant as is not known
    if any(word in str(part).lower() for part in item["loc"] for word in _SENSITIVE):
        return "***"
    if isinstance(value, bool | int | float) or value is None:
        return value if not isinstance(value, float) or isfinite(value) else None
    if isinstance(value, str):
        return _printable(value[:_MAX_INPUT])
    return {}


async def framework_error(request: Request, error: Exception) -> JSONResponse:
    """Render what the framework refused: unknown path, wrong method, unreadable body."""
    known = cast("HTTPException", error)
    # Python's own names of the statuses change from release to release.
    kind = _BY_STATUS.get(known.status_code)
    phrase = kind.title if kind else HTTPStatus(known.status_code).phrase
    code = kind.code if kind else HTTPStatus(known.status_code).name.lower()
    nothing = known.status_code == NotFound.status
    message = "There is nothing at this path." if nothing else str(known.detail or phrase)
    body = build(status=known.status_code, code=code, title=phrase, message=message)
    return _respond(request, body, dict(known.headers or {}))


async def client_gone(request: Request, _: Exception) -> JSONResponse:
    """Let a request be bad whose client went away before all of it was here: no fault of ours."""
    return await framework_error(request, HTTPException(400, "The request came to no end."))


async def database_error(request: Request, error: Exception) -> JSONResponse:
    """Render the ways in which a database refuses what a client sent."""
    orig = getattr(error, "orig", None)
    state = str(getattr(orig, "sqlstate", "") or "")
    kind: type[AppError]
    if isinstance(error, IntegrityError):
        kind, text = Conflict, "The change conflicts with what is stored; read it again and retry."
    elif state.startswith("22") or isinstance(orig, OverflowError | UnicodeError | ValueError):
        kind, text = Invalid, "A value cannot be stored: it is too large or has invalid characters."
    elif isinstance(error, PoolTimeout) or "locked" in str(orig):
        kind, text = Unavailable, "The database is busy; try again in a moment."
    else:
        return await unexpected_error(request, error)
    logger.warning("database_refused", error=type(orig or error).__name__, sqlstate=state)
    body = build(status=kind.status, code=kind.code, title=kind.title, message=text)
    return _respond(request, body, {"Retry-After": "1"} if kind is Unavailable else None)


async def unreadable_value(request: Request, error: Exception) -> JSONResponse:
    """Render values that the database driver could not take (beyond 64 bits, lone surrogates)."""
    logger.warning("value_refused", error=type(error).__name__)
    text = "A value cannot be stored: it is too large or has invalid characters."
    body = build(status=Invalid.status, code=Invalid.code, title=Invalid.title, message=text)
    return _respond(request, body)


async def unexpected_error(request: Request, error: Exception) -> JSONResponse:
    """Render a fault of ours: no text of the exception leaves the server."""
    if request.scope["type"] != "http":
        raise error  # what serves the WebSocket closes it
    logger.error("unexpected_error", path=request.url.path, exc_info=error)
    body = build(
        status=500,
        code=AppError.code,
        title=AppError.title,
        message="Something went wrong on the server; the request id finds it in the log.",
    )
    return _respond(request, body)


HANDLERS: dict[Any, Any] = {
    AppError: app_error,
    RequestValidationError: validation_error,
    HTTPException: framework_error,
    ClientDisconnect: client_gone,
    StatementError: database_error,
    PoolTimeout: database_error,
    OverflowError: unreadable_value,
    UnicodeEncodeError: unreadable_value,
    Exception: unexpected_error,
}


def problems(*errors: type[AppError]) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses=` from the errors it may raise."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        entry = by_status.setdefault(
            error.status,
            {
                "description": error.title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": f"{REFS}Problem"}, "examples": {}}},
            },
        )
        entry["content"][MEDIA_TYPE]["examples"][error.code] = {
            "value": build(
                status=error.status, code=error.code, title=error.title, message=error.title
            )
        }
    return by_status
