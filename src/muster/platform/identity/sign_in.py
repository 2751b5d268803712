"""Signing in and out, and keeping a sign-in alive."""

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.errors import AppError
from muster.platform import events
from muster.platform.access import Caller
from muster.platform.identity.credentials import Credentials
from muster.platform.identity.errors import (
    AccountInactive,
    InvalidCredentials,
    InvalidToken,
    SessionRequired,
    TokenExpired,
)
from muster.platform.identity.events import UserLoggedIn, UserLoggedOut, UserLoginFailed
from muster.platform.identity.lockout import Lockout
from muster.platform.identity.models import RefreshToken, User, UserSession
from muster.platform.identity.repository import UserRepository
from muster.platform.identity.schemas import LoginIn
from muster.platform.identity.sessions import (
    Device,
    Tokens,
    caller_of,
    end_sessions,
    issue,
    open_session,
)

_NOBODY = Caller.system("", name="anonymous")


class SignIn:
    """Sign-in by password.

    A refusal is an answer and a stored fact at once, so the units of work are opened here: they
    are committed before the refusal is raised.
    """

    def __init__(self, database: Database, credentials: Credentials, device: Device) -> None:
        self._database, self._credentials, self._device = database, credentials, device

    async def login(self, body: LoginIn) -> Tokens:
        """Check e-mail and password; the work is the same for an e-mail without an account."""
        async with self._database.read() as session:
            await Lockout(session, self._credentials.auth).require_unlocked(body.email, wait=False)
            user = await UserRepository(session).find_by_email(body.email)
        hashed = user.password_hash if user else None
        matches = await self._credentials.passwords.verify(body.password, hashed)
        async with self._database.write() as session:
            outcome = await self._settle(session, body.email, hashed if matches else None)
        if isinstance(outcome, AppError):
            raise outcome
        return outcome

    async def _settle(
        self, session: AsyncSession, email: str, proven: str | None
    ) -> Tokens | AppError:
        lockout = Lockout(session, self._credentials.auth)
        await lockout.require_unlocked(email, wait=True)
        user = await UserRepository(session).find_by_email(email)
        actor = caller_of(user) if user else _NOBODY
        # The password may have been changed while the old one was being compared.
        if user is None or proven is None or user.password_hash != proven:
            await lockout.count_failure(actor, email, user.id if user else None)
            reason = "wrong_password" if user else "unknown_account"
            self._record_failure(session, actor, user, reason)
            return InvalidCredentials()
        await lockout.clear(email)
        if not user.is_active:
            self._record_failure(session, actor, user, "account_inactive")
            return AccountInactive()
        user.last_login_at = clock.now()
        opened, tokens = await open_session(session, self._credentials, user, self._device)
        event = UserLoggedIn(user_id=user.id, session_id=opened.id, ip=opened.ip)
        events.record(session, caller_of(user, opened.id), event)
        return tokens

    def _record_failure(
        self, session: AsyncSession, actor: Caller, user: User | None, reason: str
    ) -> None:
        user_id = user.id if user else None
        event = UserLoginFailed(user_id=user_id, reason=reason, ip=self._device.ip)
        events.record(session, actor, event)

    async def refresh(self, refresh_token_hash: str) -> Tokens:
        """Exchange a refresh token, which is used up; a second use ends the whole session.

        There is no period of grace: of two that use one token at the same time, one gets a pair
        that the other's attempt ends at once, because nobody can tell which of them is the thief.
        """
        async with self._database.write() as session:
            outcome = await self._rotate(session, refresh_token_hash)
        if isinstance(outcome, AppError):
            raise outcome
        return outcome

    async def _rotate(self, session: AsyncSession, refresh_token_hash: str) -> Tokens | AppError:
        statement = (
            select(RefreshToken.replaced_at, UserSession, User)
            .join(UserSession, UserSession.id == RefreshToken.session_id)
            .join(User, User.id == UserSession.user_id)
            .where(RefreshToken.hash == refresh_token_hash)
            .with_for_update(of=[UserSession, RefreshToken])
        )
        found = (await session.execute(statement)).one_or_none()
        if found is None or found[1].revoked_at is not None:
            return InvalidToken("The refresh token is not valid or its session has ended.")
        replaced_at, opened, user = found
        if replaced_at is not None:
            await end_sessions(
                session, caller_of(user), user.id, "refresh_token_reused", only=opened.id
            )
            return InvalidToken("The refresh token was used before; its session is ended.")
        if opened.expires_at <= clock.now():
            return TokenExpired("The session has expired; sign in again.")
        if not user.is_active:
            return AccountInactive()
        await session.execute(
            update(RefreshToken)
            .where(RefreshToken.hash == refresh_token_hash)
            .values(replaced_at=clock.now())
        )
        opened.last_used_at = clock.now()
        opened.expires_at = clock.now() + timedelta(days=self._credentials.auth.refresh_days)
        return await issue(session, self._credentials, user, opened.id)


async def logout(session: AsyncSession, caller: Caller) -> None:
    """End the session of the caller."""
    if caller.session_id is None:
        raise SessionRequired
    await end_sessions(session, caller, caller.id, "logged_out", only=caller.session_id)
    event = UserLoggedOut(user_id=caller.id, session_id=caller.session_id)
    events.record(session, caller, event)
