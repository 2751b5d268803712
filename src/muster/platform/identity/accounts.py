"""Making accounts: registration, the first superadmin, and invitations."""

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel import clock
from muster.kernel.db import Database
from muster.kernel.settings import Settings
from muster.platform import events
from muster.platform.access import Caller, PlatformRole
from muster.platform.identity import hooks
from muster.platform.identity.credentials import Credentials
from muster.platform.identity.errors import InvitationInvalid, RegistrationClosed
from muster.platform.identity.events import UserCreated, UserPasswordChanged, UserRegistered
from muster.platform.identity.models import Invitation, User
from muster.platform.identity.passwords import Passwords
from muster.platform.identity.repository import UserRepository
from muster.platform.identity.sessions import caller_of, end_sessions
from muster.platform.identity.tokens import digest, new_secret

if TYPE_CHECKING:
    from muster.platform.identity.schemas import InvitationIn, RegisterIn

_INVITED_FOR = timedelta(days=7)
_INVITE_PREFIX = "mst_invite_"


async def add_account(session: AsyncSession, user: User, caller: Caller | None = None) -> User:
    """Store an account and make what every user has; without a caller the user acts itself."""
    await UserRepository(session).add(user)
    await hooks.created(session, user, caller or caller_of(user))
    await session.flush()
    return user


async def register(session: AsyncSession, credentials: Credentials, body: "RegisterIn") -> User:
    """Make an account for whoever asks, as far as the registration mode lets them."""
    if credentials.registration == "closed":
        raise RegistrationClosed
    credentials.passwords.require_strong(body.password, email=body.email)
    hashed = await credentials.passwords.hash(body.password)
    first = await UserRepository(session).is_empty()
    user = User(
        email=body.email,
        name=body.name,
        password_hash=hashed,
        role=(PlatformRole.SUPERADMIN if first else PlatformRole.USER).value,
        is_active=first or credentials.registration == "open",
    )
    await add_account(session, user)
    event = UserRegistered(
        user_id=user.id, email=user.email, role=user.role, is_active=user.is_active
    )
    events.record(session, caller_of(user), event)
    return user


async def ensure_superadmin(database: Database, settings: Settings) -> str | None:
    """Make the superadmin of an empty platform; return its password if it was made up here."""
    async with database.read() as session:
        if await session.scalar(select(User.id).limit(1)) is not None:
            return None
    given = settings.admin.password
    password = given.get_secret_value() if given else secrets.token_urlsafe(18)
    hashed = await Passwords(settings.auth.password_min_length).hash(password)
    async with database.write() as session:
        if not await UserRepository(session).is_empty():
            return None
        user = User(
            email=settings.admin.email.lower(),
            name="Admin",
            password_hash=hashed,
            role=PlatformRole.SUPERADMIN.value,
        )
        await add_account(session, user)
        event = UserCreated(user_id=user.id, email=user.email, role=user.role, invited=False)
        events.record(session, Caller.system(""), event)
    return None if given else password


async def invite(session: AsyncSession, user: User) -> tuple[str, Invitation]:
    """Make a token with which the user can set a password."""
    token = new_secret(_INVITE_PREFIX)
    invitation = Invitation(
        token_hash=digest(token), user_id=user.id, expires_at=clock.now() + _INVITED_FOR
    )
    session.add(invitation)
    await session.flush()
    return token, invitation


async def accept_invitation(
    session: AsyncSession, database: Database, credentials: Credentials, body: "InvitationIn"
) -> User:
    """Set the password of an invited user; the invitation is used up."""
    wanted = select(Invitation).where(
        Invitation.token_hash == digest(body.token),
        Invitation.used_at.is_(None),
        Invitation.expires_at > clock.now(),
    )
    async with database.read() as reading:
        known = await reading.scalar(wanted)
        if known is None:
            raise InvitationInvalid
        email = (await UserRepository(reading).get(known.user_id)).email
    credentials.passwords.require_strong(body.password, email=email)
    hashed = await credentials.passwords.hash(body.password)
    invitation = await session.scalar(wanted.with_for_update())
    if invitation is None:
        raise InvitationInvalid
    invitation.used_at = clock.now()
    user = await UserRepository(session).lock(invitation.user_id)
    user.password_hash = hashed
    await end_sessions(session, caller_of(user), user.id, "password_changed")
    event = UserPasswordChanged(user_id=user.id, by="invitation")
    events.record(session, caller_of(user), event)
    await session.flush()
    return user
