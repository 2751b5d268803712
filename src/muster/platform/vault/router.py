"""HTTP surface of the vault, as the crews family names it: API keys of other services."""

from typing import Annotated

from fastapi import Depends, Query

from muster.kernel.http import Reading, Router, Sealing, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires
from muster.platform.vault.errors import SecretNameTaken, SecretNotFound
from muster.platform.vault.models import Secret
from muster.platform.vault.schemas import SecretCreate, SecretList, SecretOut, SecretUpdate
from muster.platform.vault.service import VaultService

router = Router("/api-keys", tag="API keys of services")

CanRead = Annotated[Caller, requires(Scope.SECRETS_READ)]
CanWrite = Annotated[Caller, requires(Scope.SECRETS_WRITE)]


async def _reader(caller: CanRead, session: Reading, key: Sealing) -> VaultService:
    return VaultService(session, caller, key)


async def _writer(caller: CanWrite, session: Writing, key: Sealing) -> VaultService:
    return VaultService(session, caller, key)


Reader = Annotated[VaultService, Depends(_reader)]
Writer = Annotated[VaultService, Depends(_writer)]


@router.get("", response_model=Page[SecretOut])
async def list_service_keys(
    secrets: Reader, params: Annotated[SecretList, Query()]
) -> Rows[Secret]:
    """List the project's keys to other services, without their values."""
    return await secrets.list(params)


@router.get("/{key_id:path}", response_model=SecretOut, responses=problems(SecretNotFound))
async def get_service_key(secrets: Reader, key_id: str) -> Secret:
    """Get a key by its id or name, without its value."""
    return await secrets.get(key_id)


@router.post("", status_code=201, response_model=SecretOut, responses=problems(SecretNameTaken))
async def create_service_key(secrets: Writer, body: SecretCreate) -> Secret:
    """Store a key to another service, encrypted.

    Models and tools use it by its name. The value is never sent back.
    """
    return await secrets.create(body)


@router.put(
    "/{key_id:path}",
    response_model=SecretOut,
    responses=problems(SecretNotFound, SecretNameTaken),
)
async def update_service_key(secrets: Writer, key_id: str, body: SecretUpdate) -> Secret:
    """Change the given fields of a key, found by its id or name; the others stay."""
    return await secrets.update(key_id, body)


@router.delete("/{key_id:path}", status_code=204, responses=problems(SecretNotFound))
async def delete_service_key(secrets: Writer, key_id: str) -> None:
    """Delete a key. Models and tools that name it can no longer be used."""
    await secrets.delete(key_id)
