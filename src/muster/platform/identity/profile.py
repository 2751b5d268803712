"""What users do with their own account."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.db import Database
from muster.kernel.errors import FieldError, Invalid
from muster.platform import events
from muster.platform.access import Caller
from muster.platform.identity.credentials import Credentials
from muster.platform.identity.errors import WrongPassword
from muster.platform.identity.events import UserPasswordChanged, UserUpdated
from muster.platform.identity.lockout import Lockout
from muster.platform.identity.models import User
from muster.platform.identity.repository import UserRepository
from muster.platform.identity.schemas import PasswordChange, ProfileOut, ProfilePatch, UserOut
from muster.platform.identity.sessions import end_sessions


class Profile:
    """The caller's own account.

    Args:
        session: The unit of work; it holds no connection while a password is compared.
        database: For what is read and counted outside that unit of work.
    """

    def __init__(
        self, session: AsyncSession, database: Database, credentials: Credentials, caller: Caller
    ) -> None:
        self._session, self._database = session, database
        self._credentials, self._caller = credentials, caller

    async def get(self) -> ProfileOut:
        user = await UserRepository(self._session).get(self._caller.id)
        return self._view(user)

    async def update(self, body: ProfilePatch) -> ProfileOut:
        changes = body.model_dump(exclude={"current_password"})
        if "email" in changes and changes["email"] != (await self._read()).email:
            await self._require_password(body.current_password)
        users = UserRepository(self._session)
        user = await users.lock(self._caller.id)
        changed = [name for name, value in changes.items() if getattr(user, name) != value]
        for name in changed:
            setattr(user, name, changes[name])
        await users.flush()
        if changed:
            event = UserUpdated(user_id=user.id, changed=sorted(changed), role=user.role)
            events.record(self._session, self._caller, event)
        return self._view(user)

    async def change_password(self, body: PasswordChange) -> None:
        """Set a new password; every other session ends."""
        proven = await self._require_password(body.current_password)
        passwords = self._credentials.passwords
        passwords.require_strong(body.new_password, email=proven.email, field="new_password")
        hashed = await passwords.hash(body.new_password)
        user = await UserRepository(self._session).lock(self._caller.id)
        if user.password_hash != proven.password_hash:
            raise WrongPassword
        user.password_hash = hashed
        await end_sessions(
            self._session,
            self._caller,
            user.id,
            "password_changed",
            but=self._caller.session_id,
        )
        event = UserPasswordChanged(user_id=user.id, by="user")
        events.record(self._session, self._caller, event)

    async def _read(self) -> User:
        async with self._database.read() as session:
            return await UserRepository(session).get(self._caller.id)

    async def _require_password(self, password: str | None) -> User:
        if password is None:
            text = "Send current_password to change the e-mail."
            raise Invalid(text, errors=[FieldError("current_password", text)])
        user = await self._read()
        async with self._database.read() as session:
            await self._lockout(session).require_unlocked(user.email, wait=False)
        matches = await self._credentials.passwords.verify(password, user.password_hash)
        # Counted like a failed sign-in, or a stolen access token could try passwords without end.
        async with self._database.write() as session:
            lockout = self._lockout(session)
            await lockout.require_unlocked(user.email, wait=True)
            if not matches:
                await lockout.count_failure(self._caller, user.email, user.id)
        if not matches:
            raise WrongPassword
        return user

    def _lockout(self, session: AsyncSession) -> Lockout:
        return Lockout(session, self._credentials.auth)

    def _view(self, user: User) -> ProfileOut:
        account: dict[str, Any] = UserOut.model_validate(user).model_dump(exclude={"full_name"})
        return ProfileOut(
            **account,
            project_id=self._caller.project_id,
            project_role=self._caller.project_role,
            scopes=sorted(self._caller.scopes),
        )
