"""Who calls and in which project, found out with one query.

The project is the one in the path (`/projects/{project_id}/...`), else that of `X-Project-Id`, of
`group_id` as a header or as a query parameter, else the caller's active project, else the personal
one. An outsider and someone who made up an id read the same 404.
"""

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Select, and_, bindparam, case, or_, select
from starlette.requests import HTTPConnection

from muster.kernel import clock
from muster.kernel.http import database_of, header
from muster.platform.access import (
    AGENT_KEY_SCOPES,
    Caller,
    CallerKind,
    PlatformRole,
    ProjectRole,
    Scope,
    scopes_of,
)
from muster.platform.identity import (
    KEY_PREFIX,
    ApiKey,
    CallerInactive,
    Credentials,
    InvalidAuthorizationHeader,
    InvalidToken,
    KeyKind,
    MissingAuth,
    MissingToken,
    TokenExpired,
    User,
    UserSession,
    digest,
)
from muster.platform.projects.errors import ProjectNotFound
from muster.platform.projects.models import Membership

_PATH_PARAMETER = "project_id"
_PATH_PREFIX = "/api/v1/projects/{project_id}"
_USER = (User.id, User.name, User.role, User.is_active)
_MEMBERSHIP = (Membership.project_id, Membership.role.label("project_role"))
_KEY = (
    ApiKey.id.label("key_id"),
    ApiKey.project_id.label("key_project_id"),
    ApiKey.kind,
    ApiKey.scopes,
    ApiKey.revoked_at,
    ApiKey.expires_at,
    ApiKey.last_used_at,
)


def _session_query(theirs: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(*_USER, *_MEMBERSHIP, UserSession.revoked_at)
        .join(User, User.id == UserSession.user_id)
        .outerjoin(Membership, and_(Membership.user_id == User.id, theirs))
        .where(UserSession.id == bindparam("session_id"))
        .order_by(case((Membership.project_id == User.active_project_id, 0), else_=1))
        .limit(1)
    )


# Built once: to build a statement costs more than to execute it.
_NAMED_PROJECT = _session_query(Membership.project_id == bindparam("project_id"))
_OWN_PROJECT = _session_query(
    or_(
        Membership.project_id == User.active_project_id,
        Membership.project_id == User.personal_project_id,
    )
)
_KEY_QUERY = (
    select(*_KEY, *_USER, *_MEMBERSHIP)
    .join(User, User.id == ApiKey.user_id)
    .outerjoin(
        Membership,
        and_(Membership.user_id == ApiKey.user_id, Membership.project_id == ApiKey.project_id),
    )
    .where(ApiKey.hash == bindparam("key_hash"))
)
"""Built once: agents log with keys, and to build it costs more than to execute it."""
_ALL = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The project that a request names, if any, and whether it does so in the path."""

    project_id: str | None
    in_path: bool


async def authenticate(connection: HTTPConnection) -> Caller:
    """Return the caller of a request, or raise why there is none."""
    return await authenticate_token(connection, _token_of(connection))


async def authenticate_token(connection: HTTPConnection, token: str) -> Caller:
    """Return the caller who proves itself by `token`: for tokens that come in a message."""
    wanted = _wanted_project(connection)
    if token.startswith(KEY_PREFIX):
        caller = await _by_key(connection, token, wanted)
    else:
        caller = await _by_session(connection, token, wanted)
    structlog.contextvars.bind_contextvars(user=caller.id, project=caller.project_id)
    return caller


def _token_of(connection: HTTPConnection) -> str:
    given = header(connection.scope, "authorization")
    if given is None:
        key = header(connection.scope, "x-api-key")
        # A browser cannot set headers when it opens a WebSocket.
        if key is None and connection.scope["type"] == "websocket":
            key = connection.query_params.get("token")
        if not key:
            raise MissingAuth
        return key
    scheme, _, token = given.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidAuthorizationHeader
    if not token.strip():
        raise MissingToken
    return token.strip()


def _wanted_project(connection: HTTPConnection) -> _Wanted:
    route = getattr(connection.scope.get("route"), "path", "")
    if route.startswith(_PATH_PREFIX):
        return _Wanted(connection.path_params[_PATH_PARAMETER], in_path=True)
    scope = connection.scope
    named = header(scope, "x-project-id") or header(scope, "group_id")
    if not named and scope["query_string"]:
        named = connection.query_params.get("group_id")
    return _Wanted(named or None, in_path=False)


async def _by_session(connection: HTTPConnection, token: str, wanted: _Wanted) -> Caller:
    credentials: Credentials = connection.app.state.credentials
    claims = credentials.access_tokens.read(token)
    query, values = _OWN_PROJECT, {"session_id": claims.session_id}
    if wanted.project_id is not None:
        query, values = _NAMED_PROJECT, {**values, "project_id": wanted.project_id}
    found: Any = await database_of(connection).peek(query, values)
    if found is None or found.id != claims.user_id:
        raise InvalidToken
    if not found.is_active:
        raise CallerInactive
    if found.revoked_at is not None:
        raise InvalidToken("The session has ended; sign in again.")
    role = PlatformRole(found.role)
    project_id, project_role = _resolve(found, role, wanted)
    return Caller(
        kind=CallerKind.USER,
        id=found.id,
        name=found.name,
        role=role,
        project_id=project_id,
        project_role=project_role,
        scopes=scopes_of(role, project_role),
        session_id=claims.session_id,
    )


async def _by_key(connection: HTTPConnection, token: str, wanted: _Wanted) -> Caller:
    found = await database_of(connection).peek(_KEY_QUERY, {"key_hash": digest(token)})
    if found is None:
        raise InvalidToken
    if found.revoked_at is not None:
        raise InvalidToken("The API key was revoked.")
    if found.expires_at is not None and found.expires_at <= clock.now():
        raise TokenExpired("The API key has expired; make a new one.")
    if not found.is_active:
        raise CallerInactive
    role = PlatformRole(found.role)
    project_id, project_role = _resolve(found, role, _of_key(found, wanted))
    credentials: Credentials = connection.app.state.credentials
    credentials.key_usage.seen(found.key_id, found.last_used_at)
    is_agent = found.kind == KeyKind.AGENT
    return Caller(
        kind=CallerKind.AGENT_KEY if is_agent else CallerKind.USER_KEY,
        id=found.id,
        name=found.name,
        role=role,
        project_id=project_id,
        project_role=project_role,
        scopes=scopes_of(role, project_role) & _granted(found),
        key_id=found.key_id,
    )


def _of_key(found: Any, wanted: _Wanted) -> _Wanted:
    """Hold a key to its project, whatever the request names."""
    if wanted.project_id not in {None, found.key_project_id}:
        raise ProjectNotFound("This API key works in another project.")
    return _Wanted(found.key_project_id, in_path=False)


def _granted(found: Any) -> frozenset[Scope]:
    if found.kind == KeyKind.AGENT:
        return AGENT_KEY_SCOPES
    return _ALL if found.scopes is None else _ALL & frozenset(found.scopes)


def _resolve(found: Any, role: PlatformRole, wanted: _Wanted) -> tuple[str, ProjectRole | None]:
    if found.project_id is not None:
        return found.project_id, ProjectRole(found.project_role)
    # Admins manage the members of any project; each operation says whether it lets them in.
    if wanted.project_id is not None and wanted.in_path and role.rank >= PlatformRole.ADMIN.rank:
        return wanted.project_id, None
    raise ProjectNotFound
