"""HTTP surface of the administration of accounts: one resource under two paths."""

from typing import Annotated, Any

from fastapi import Depends, Query
from starlette.requests import Request

from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import Page, Rows
from muster.platform.access import Caller, Scope, requires
from muster.platform.identity.errors import (
    EmailTaken,
    LastSuperadmin,
    OwnAccount,
    RoleAssignmentForbidden,
    UserNotFound,
    WeakPassword,
)
from muster.platform.identity.models import User
from muster.platform.identity.router import Kept
from muster.platform.identity.schemas import NewUserOut, UserCreate, UserList, UserOut, UserPatch
from muster.platform.identity.users import UserService

router = Router("", tag="users")

CanRead = Annotated[Caller, requires(Scope.USERS_READ)]
CanWrite = Annotated[Caller, requires(Scope.USERS_WRITE)]


async def _reader(session: Reading, caller: CanRead, credentials: Kept) -> UserService:
    return UserService(session, caller, credentials)


async def _writer(
    session: Writing, caller: CanWrite, credentials: Kept, request: Request
) -> UserService:
    # The answer may hold an invitation token, which must not be kept to be replayed.
    request.state.write_session = None
    return UserService(session, caller, credentials)


Reader = Annotated[UserService, Depends(_reader)]
Writer = Annotated[UserService, Depends(_writer)]

_LIST: dict[str, Any] = {"response_model": Page[UserOut]}
_CREATE: dict[str, Any] = {
    "status_code": 201,
    "response_model": NewUserOut,
    "responses": problems(EmailTaken, RoleAssignmentForbidden, WeakPassword),
}
_GET: dict[str, Any] = {"response_model": UserOut, "responses": problems(UserNotFound)}
_CHANGE: dict[str, Any] = {
    "response_model": UserOut,
    "responses": problems(
        UserNotFound, EmailTaken, LastSuperadmin, OwnAccount, RoleAssignmentForbidden, WeakPassword
    ),
}
_ACTIVATE: dict[str, Any] = {
    "response_model": UserOut,
    "responses": problems(UserNotFound, RoleAssignmentForbidden),
}
_DELETE: dict[str, Any] = {
    "status_code": 204,
    "responses": problems(UserNotFound, LastSuperadmin, OwnAccount, RoleAssignmentForbidden),
}


@router.get("/users", **_LIST)
@router.get("/admin/users", name="list_admin_users", **_LIST)
async def list_users(users: Reader, params: Annotated[UserList, Query()]) -> Rows[User]:
    """List the accounts of the platform, newest first."""
    return await users.list(params)


@router.post("/users", **_CREATE)
@router.post("/admin/users", name="create_admin_user", **_CREATE)
async def create_user(users: Writer, body: UserCreate) -> NewUserOut:
    """Make an account for someone.

    Without a password the answer carries an `invitation_token`, shown this once, with which the
    person sets one within seven days. Only a superadmin makes admins and superadmins.
    """
    return await users.create(body)


@router.get("/users/{user_id}", **_GET)
@router.get("/admin/users/{user_id}", name="get_admin_user", **_GET)
async def get_user(users: Reader, user_id: str) -> User:
    """Get an account."""
    return await users.get(user_id)


@router.put("/users/{user_id}", **_CHANGE)
@router.patch("/users/{user_id}", name="patch_user", **_CHANGE)
@router.put("/admin/users/{user_id}", name="update_admin_user", **_CHANGE)
@router.patch("/admin/users/{user_id}", name="patch_admin_user", **_CHANGE)
async def update_user(users: Writer, user_id: str, body: UserPatch) -> User:
    """Change the given fields of an account.

    A changed role counts from the next request of the user. Deactivating or setting a password
    ends the sessions of the user. The last active superadmin stays one.
    """
    return await users.update(user_id, body)


@router.post("/users/{user_id}/activate", **_ACTIVATE)
@router.post("/admin/users/{user_id}/activate", name="activate_admin_user", **_ACTIVATE)
async def activate_user(users: Writer, user_id: str) -> User:
    """Activate an account that waits for approval or was deactivated."""
    return await users.activate(user_id)


@router.delete("/users/{user_id}", **_DELETE)
@router.delete("/admin/users/{user_id}", name="delete_admin_user", **_DELETE)
async def delete_user(users: Writer, user_id: str) -> None:
    """Delete an account with its memberships, sessions, keys and personal project.

    What the user did stays in the record under the user's name. A user who is the last owner of
    a project cannot be deleted: the answer names the projects that need another owner first.
    """
    await users.delete(user_id)
