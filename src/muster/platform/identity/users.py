"""Administration of accounts."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.kernel.paging import Rows
from muster.platform import events
from muster.platform.access import Caller, PlatformRole
from muster.platform.identity import hooks
from muster.platform.identity.accounts import add_account, invite
from muster.platform.identity.api_keys import revoke_keys
from muster.platform.identity.credentials import Credentials
from muster.platform.identity.errors import (
    LastSuperadmin,
    OwnAccount,
    RoleAssignmentForbidden,
)
from muster.platform.identity.events import (
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserDeleted,
    UserPasswordChanged,
    UserUpdated,
)
from muster.platform.identity.models import User
from muster.platform.identity.repository import UserRepository
from muster.platform.identity.schemas import (
    NewUserOut,
    UserCreate,
    UserList,
    UserOut,
    UserPatch,
)
from muster.platform.identity.sessions import end_sessions


class UserService:
    """What admins do with accounts. Admins manage users; superadmins manage everyone.

    Args:
        session: The unit of work.
        caller: The admin.
        credentials: Needed to make accounts and set passwords.
    """

    def __init__(self, session: AsyncSession, caller: Caller, credentials: Credentials) -> None:
        self._session, self._caller, self._credentials = session, caller, credentials
        self._users = UserRepository(session)

    async def list(self, params: UserList) -> Rows[User]:
        return await self._users.search(params)

    async def get(self, user_id: str) -> User:
        return await self._users.get(user_id)

    async def create(self, body: UserCreate) -> NewUserOut:
        self._require_may_assign(body.role)
        hashed = await self._hash(body.password, body.email) if body.password else None
        user = User(email=body.email, name=body.name, role=body.role.value, password_hash=hashed)
        await add_account(self._session, user, self._caller)
        token, invitation = None, None
        if hashed is None:
            token, invitation = await invite(self._session, user)
        self._record(
            UserCreated(user_id=user.id, email=user.email, role=user.role, invited=hashed is None)
        )
        account: dict[str, Any] = UserOut.model_validate(user).model_dump(exclude={"full_name"})
        return NewUserOut(
            **account,
            invitation_token=token,
            invitation_expires_at=invitation.expires_at if invitation else None,
        )

    async def update(self, user_id: str, body: UserPatch) -> User:
        changes = body.model_dump(exclude={"is_admin"})
        password: str | None = changes.pop("password", None)
        if user_id == self._caller.id and (password or changes.get("is_active") is False):
            raise OwnAccount(
                "Change your own password with POST /auth/change-password; another admin can "
                "deactivate you."
            )
        hashed = await self._hash(password, changes.get("email", "")) if password else None
        superadmins: set[str] = set()
        if {"role", "is_active"} & set(changes):
            superadmins = await self._users.lock_superadmins()
        user = await self._lock(user_id)
        if password:
            self._credentials.passwords.require_strong(password, email=user.email)
        changed = [name for name, value in changes.items() if getattr(user, name) != value]
        if "role" in changed:
            self._require_may_assign(user.platform_role)
            self._require_may_assign(PlatformRole(changes["role"]))
        if {"role", "is_active"} & set(changed):
            _require_another(superadmins, user)
        for name in changed:
            setattr(user, name, changes[name])
        await self._users.flush()
        if plain := sorted(set(changed) - {"is_active"}):
            self._record(UserUpdated(user_id=user.id, changed=plain, role=user.role))
        if "is_active" in changed:
            await self._tell_activity(user)
        if hashed is not None:
            await self._set_password(user, hashed)
        return user

    async def activate(self, user_id: str) -> User:
        user = await self._lock(user_id)
        if not user.is_active:
            user.is_active = True
            await self._users.flush()
            await self._tell_activity(user)
        return user

    async def delete(self, user_id: str) -> None:
        """Delete an account: it is emptied, its e-mail is free again, history keeps the name."""
        if user_id == self._caller.id:
            raise OwnAccount("You cannot delete your own account; another admin can.")
        user = await self._users.get(user_id)
        self._require_may_assign(user.platform_role)
        # Projects are locked before accounts everywhere, so that nobody waits in a circle.
        await hooks.before_delete(self._session, user, self._caller)
        superadmins = await self._users.lock_superadmins()
        user = await self._lock(user_id)
        _require_another(superadmins, user)
        await end_sessions(self._session, self._caller, user.id, "user_deleted")
        await revoke_keys(self._session, self._caller, user.id, "user_deleted")
        self._record(UserDeleted(user_id=user.id, email=user.email))
        user.email, user.password_hash, user.picture = f"{user.id}@deleted", None, None
        user.is_active, user.deleted_at = False, clock.now()
        await self._users.flush()

    async def _lock(self, user_id: str) -> User:
        user = await self._users.lock(user_id)
        if user.id != self._caller.id:
            self._require_may_assign(user.platform_role)
        return user

    def _require_may_assign(self, role: PlatformRole) -> None:
        privileged = role.rank >= PlatformRole.ADMIN.rank
        if privileged and self._caller.role is not PlatformRole.SUPERADMIN:
            raise RoleAssignmentForbidden

    async def _hash(self, password: str, email: str) -> str:
        # Before the first statement, so that no connection is held for the tenth of a second.
        self._credentials.passwords.require_strong(password, email=email)
        return await self._credentials.passwords.hash(password)

    async def _tell_activity(self, user: User) -> None:
        if user.is_active:
            self._record(UserActivated(user_id=user.id))
            return
        await end_sessions(self._session, self._caller, user.id, "user_deactivated")
        self._record(UserDeactivated(user_id=user.id))

    async def _set_password(self, user: User, hashed: str) -> None:
        user.password_hash = hashed
        await self._users.flush()
        await end_sessions(self._session, self._caller, user.id, "password_changed")
        self._record(UserPasswordChanged(user_id=user.id, by="admin"))

    def _record(self, event: events.Event) -> None:
        events.record(self._session, self._caller, event)


def _require_another(superadmins: set[str], user: User) -> None:
    if superadmins == {user.id}:
        raise LastSuperadmin
