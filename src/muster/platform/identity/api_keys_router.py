"""HTTP surface of API keys: one store under two paths."""

from typing import Annotated, Any

from fastapi import Depends, Query
from starlette.requests import Request

from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, Scope, requires
from muster.platform.identity.api_keys import ApiKeyService
from muster.platform.identity.errors import ApiKeyNotFound, ProjectNotFound, ScopeNotHeld
from muster.platform.identity.key_schemas import ApiKeyCreate, ApiKeyOut, NewApiKeyOut
from muster.platform.identity.models import ApiKey, KeyKind

router = Router("", tag="api keys")

CanRead = Annotated[Caller, requires(Scope.API_KEYS_READ)]
CanWrite = Annotated[Caller, requires(Scope.API_KEYS_WRITE)]


async def _reader(session: Reading, caller: CanRead) -> ApiKeyService:
    return ApiKeyService(session, caller)


async def _writer(session: Writing, caller: CanWrite, request: Request) -> ApiKeyService:
    # The answer to a new key holds the key itself, which must not be kept to be replayed.
    request.state.write_session = None
    return ApiKeyService(session, caller)


Reader = Annotated[ApiKeyService, Depends(_reader)]
Writer = Annotated[ApiKeyService, Depends(_writer)]

_LIST: dict[str, Any] = {"response_model": Page[ApiKeyOut]}
_CREATE: dict[str, Any] = {
    "status_code": 201,
    "response_model": NewApiKeyOut,
    "responses": problems(ProjectNotFound, ScopeNotHeld),
}
_REVOKE: dict[str, Any] = {"status_code": 204, "responses": problems(ApiKeyNotFound)}


@router.get("/auth/api-keys", name="list_auth_api_keys", **_LIST)
@router.get("/security/api-keys", **_LIST)
async def list_api_keys(keys: Reader, params: Annotated[ListParams, Query()]) -> Rows[ApiKey]:
    """List your API keys, newest first; the keys themselves are not shown."""
    return await keys.list(params)


@router.post("/auth/api-keys", **_CREATE)
async def create_auth_api_key(keys: Writer, body: ApiKeyCreate) -> NewApiKeyOut:
    """Make an API key, for an agent unless the body says otherwise.

    The key is shown this once, as `key` and as `api_key`. An agent key registers the agents of
    its project, nothing else. The answer is not kept, so that a repeated
    `Idempotency-Key` makes another key.
    """
    return await keys.create(body, default=KeyKind.AGENT)


@router.post("/security/api-keys", **_CREATE)
async def create_api_key(keys: Writer, body: ApiKeyCreate) -> NewApiKeyOut:
    """Make an API key, for yourself unless the body says otherwise.

    The key is shown this once, as `key` and as `api_key`. It acts as you within its scopes, in
    one project, and loses what you lose. The answer is not kept, so that a repeated
    `Idempotency-Key` makes another key.
    """
    return await keys.create(body, default=KeyKind.USER)


@router.delete("/auth/api-keys/{key_id}", name="revoke_auth_api_key", **_REVOKE)
@router.delete("/security/api-keys/{key_id}", **_REVOKE)
async def revoke_api_key(keys: Writer, key_id: str) -> None:
    """Revoke one of your API keys; it fails from the next call on."""
    await keys.revoke(key_id)
