"""Keys to the API: made, listed and revoked by the user for whom they stand."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.kernel.errors import FieldError, Invalid
from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import AGENT_KEY_SCOPES, Caller, CallerKind, Scope, scopes_of
from muster.platform.identity import hooks
from muster.platform.identity.errors import ProjectNotFound, ScopeNotHeld
from muster.platform.identity.events import ApiKeyCreated, ApiKeyRevoked
from muster.platform.identity.key_schemas import ApiKeyCreate, ApiKeyOut, NewApiKeyOut
from muster.platform.identity.models import ApiKey, KeyKind
from muster.platform.identity.repository import ApiKeyRepository
from muster.platform.identity.tokens import KEY_PREFIX, digest, new_secret

_SHOWN = 4


class ApiKeyService:
    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._keys = ApiKeyRepository(session, caller.id)

    async def list(self, params: ListParams) -> Rows[ApiKey]:
        return await self._keys.page(params)

    async def create(self, body: ApiKeyCreate, *, default: KeyKind) -> NewApiKeyOut:
        """Make a key, of the kind `default` when the body names none."""
        if body.expires_at is not None and body.expires_at <= clock.now():
            text = "expires_at must be in the future."
            raise Invalid(text, errors=[FieldError("expires_at", text)])
        kind = body.kind or default
        project_id = body.project_id or self._caller.project_id
        scopes = _require_scopes(self._caller, kind, body.scopes, await self._held(project_id))
        start = f"{KEY_PREFIX}{kind.value}_"
        secret = new_secret(start)
        key = ApiKey(
            user_id=self._caller.id,
            project_id=project_id,
            name=body.name,
            kind=kind.value,
            scopes=scopes,
            prefix=secret[: len(start) + _SHOWN],
            hash=digest(secret),
            expires_at=body.expires_at,
        )
        self._session.add(key)
        await self._session.flush()
        event = ApiKeyCreated(
            api_key_id=key.id,
            user_id=key.user_id,
            bound_project_id=project_id,
            kind=key.kind,
            name=key.name,
            scopes=scopes,
        )
        events.record(self._session, self._caller, event)
        shown: dict[str, Any] = ApiKeyOut.model_validate(key).model_dump(exclude={"revoked"})
        return NewApiKeyOut(**shown, key=secret)

    async def revoke(self, key_id: str) -> None:
        """Revoke a key; it fails from the next call on. Once more changes nothing."""
        key = await self._keys.get(key_id)
        if key.revoked_at is None:
            _revoke(self._session, self._caller, key, "revoked")
            await self._session.flush()

    async def _held(self, project_id: str) -> frozenset[Scope]:
        """Return what the caller may do in the project that the key is for."""
        if project_id == self._caller.project_id:
            return self._caller.scopes
        role = None
        if self._caller.kind is CallerKind.USER:
            role = await hooks.role_in(self._session, self._caller.id, project_id)
        if role is None:
            raise ProjectNotFound
        return scopes_of(self._caller.role, role)


def _require_scopes(
    caller: Caller, kind: KeyKind, wanted: list[Scope] | None, held: frozenset[Scope]
) -> list[str] | None:
    """Return the scopes to store, or raise what the caller cannot give away."""
    if kind is KeyKind.AGENT:
        asked = frozenset(wanted) if wanted else AGENT_KEY_SCOPES
        if asked != AGENT_KEY_SCOPES:
            text = "A key of kind agent has fixed scopes; leave scopes out."
            raise Invalid(text, errors=[FieldError("scopes", text)])
    elif wanted is not None:
        asked = frozenset(wanted)
    elif caller.kind is CallerKind.USER:
        return None
    else:
        # A key that a restricted key makes is as restricted.
        asked = held
    if missing := sorted(asked - held):
        raise ScopeNotHeld(
            f"You do not have {', '.join(missing)} in this project.",
            details={"missing": missing},
        )
    return sorted(asked)


def _revoke(session: AsyncSession, caller: Caller, key: ApiKey, reason: str) -> None:
    key.revoked_at = clock.now()
    event = ApiKeyRevoked(api_key_id=key.id, user_id=key.user_id, reason=reason)
    events.record(session, caller, event)


async def revoke_keys(
    session: AsyncSession, caller: Caller, user_id: str, reason: str, project_id: str | None = None
) -> None:
    """Revoke the keys of a user, in one project or everywhere."""
    statement = select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    if project_id is not None:
        statement = statement.where(ApiKey.project_id == project_id)
    for key in await session.scalars(statement):
        _revoke(session, caller, key, reason)
    await session.flush()
