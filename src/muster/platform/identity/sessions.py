"""Sessions: opening, rotating and ending them."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.kernel.ids import new_id
from muster.platform import events
from muster.platform.access import Caller, CallerKind, scopes_of
from muster.platform.identity.credentials import Credentials
from muster.platform.identity.events import SessionRevoked
from muster.platform.identity.models import RefreshToken, User, UserSession
from muster.platform.identity.tokens import digest, new_secret

REFRESH_PREFIX = "mst_refresh_"
_KEPT_AFTER_END = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Device:
    """From where someone signs in."""

    ip: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a client gets: the fields of the answer."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int
    user: User


def caller_of(user: User, session_id: str | None = None) -> Caller:
    """Return a user as the one who acts, where no request has said who calls."""
    return Caller(
        kind=CallerKind.USER,
        id=user.id,
        name=user.name,
        role=user.platform_role,
        project_id=user.active_project_id or user.personal_project_id or "",
        project_role=None,
        scopes=scopes_of(user.platform_role, None),
        session_id=session_id,
    )


async def open_session(
    session: AsyncSession, credentials: Credentials, user: User, device: Device
) -> tuple[UserSession, Tokens]:
    """Start a session of `user`, and forget those that ended long ago."""
    long_ago = clock.now() - _KEPT_AFTER_END
    await session.execute(
        delete(UserSession).where(
            UserSession.user_id == user.id,
            or_(UserSession.revoked_at < long_ago, UserSession.expires_at < long_ago),
        )
    )
    opened = UserSession(
        id=new_id(),
        user_id=user.id,
        user_agent=device.user_agent and device.user_agent[:255],
        ip=device.ip and device.ip[:64],
        expires_at=clock.now() + timedelta(days=credentials.auth.refresh_days),
    )
    session.add(opened)
    await session.flush()
    return opened, await issue(session, credentials, user, opened.id)


async def issue(
    session: AsyncSession, credentials: Credentials, user: User, session_id: str
) -> Tokens:
    """Make the next pair of tokens of a session."""
    refresh_token = new_secret(REFRESH_PREFIX)
    session.add(RefreshToken(hash=digest(refresh_token), session_id=session_id))
    await session.flush()
    access_tokens = credentials.access_tokens
    return Tokens(
        access_token=access_tokens.issue(
            user_id=user.id, session_id=session_id, role=user.platform_role
        ),
        refresh_token=refresh_token,
        token_type="bearer",  # noqa: S106 - a scheme, not a secret
        expires_in=int(access_tokens.life.total_seconds()),
        user=user,
    )


async def end_sessions(
    session: AsyncSession,
    caller: Caller,
    user_id: str,
    reason: str,
    *,
    only: str | None = None,
    but: str | None = None,
) -> None:
    """End the sessions of a user: their tokens stop working with the commit.

    `only` names the one session to end, `but` the one to leave as it is.
    """
    open_ones = select(UserSession.id).where(
        UserSession.user_id == user_id, UserSession.revoked_at.is_(None)
    )
    if only is not None:
        open_ones = open_ones.where(UserSession.id == only)
    if but is not None:
        open_ones = open_ones.where(UserSession.id != but)
    locked = (await session.scalars(open_ones.order_by(UserSession.id).with_for_update())).all()
    for session_id in locked:
        events.record(
            session, caller, SessionRevoked(session_id=session_id, user_id=user_id, reason=reason)
        )
    await session.execute(
        update(UserSession)
        .where(UserSession.id.in_(locked))
        .values(revoked_at=clock.now(), revoked_reason=reason)
    )
