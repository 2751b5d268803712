"""HTTP surface of sign-in and of one's own account."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from muster.kernel.http import Db, Reading, Router, Writing, problems
from muster.platform.access import Caller, Scope, requires
from muster.platform.identity import accounts, sign_in
from muster.platform.identity.credentials import Credentials
from muster.platform.identity.errors import (
    AccountInactive,
    AccountLocked,
    EmailTaken,
    InvalidCredentials,
    InvalidToken,
    InvitationInvalid,
    RegistrationClosed,
    SessionRequired,
    TokenExpired,
    WeakPassword,
    WrongPassword,
)
from muster.platform.identity.models import User
from muster.platform.identity.profile import Profile
from muster.platform.identity.schemas import (
    InvitationIn,
    LoginIn,
    PasswordChange,
    ProfileOut,
    ProfilePatch,
    RefreshIn,
    RegisterIn,
    TokensOut,
    UserOut,
)
from muster.platform.identity.sessions import Device, Tokens
from muster.platform.identity.tokens import digest

router = Router("/auth", tag="authentication")

CanRead = Annotated[Caller, requires(Scope.PROFILE_READ)]
CanWrite = Annotated[Caller, requires(Scope.PROFILE_WRITE)]


async def credentials_of(request: Request) -> Credentials:
    """Return what the application that answers keeps for sign-in."""
    credentials: Credentials = request.app.state.credentials
    return credentials


Kept = Annotated[Credentials, Depends(credentials_of)]


async def _sign_in(request: Request, database: Db, credentials: Kept) -> sign_in.SignIn:
    device = Device(
        ip=request.client.host if request.client else None,
        user_agent=request.headers.get("user-agent"),
    )
    return sign_in.SignIn(database, credentials, device)


async def _own(session: Reading, database: Db, credentials: Kept, caller: CanRead) -> Profile:
    return Profile(session, database, credentials, caller)


async def _own_to_change(
    session: Writing, database: Db, credentials: Kept, caller: CanWrite
) -> Profile:
    return Profile(session, database, credentials, caller)


SigningIn = Annotated[sign_in.SignIn, Depends(_sign_in)]
Own = Annotated[Profile, Depends(_own)]
OwnToChange = Annotated[Profile, Depends(_own_to_change)]


@router.post(
    "/register",
    status_code=201,
    response_model=UserOut,
    responses=problems(RegistrationClosed, EmailTaken, WeakPassword),
)
async def register(session: Writing, credentials: Kept, body: RegisterIn) -> User:
    """Make an account for yourself.

    Where registration needs approval, the account is inactive until an admin activates it. The
    first account of an empty platform is its superadmin. Every account has a personal project.
    """
    return await accounts.register(session, credentials, body)


@router.post(
    "/login",
    response_model=TokensOut,
    responses=problems(InvalidCredentials, AccountInactive, AccountLocked),
)
async def login(signing_in: SigningIn, body: LoginIn) -> Tokens:
    """Sign in with e-mail and password.

    An unknown e-mail is refused like a wrong password. After a number of failures in a row the
    e-mail is locked for a while, even for the right password; `Retry-After` says how long.
    """
    return await signing_in.login(body)


@router.post(
    "/refresh",
    response_model=TokensOut,
    responses=problems(InvalidToken, TokenExpired, AccountInactive),
)
async def refresh_tokens(signing_in: SigningIn, body: RefreshIn) -> Tokens:
    """Exchange a refresh token for a new pair of tokens.

    A refresh token works once. Using it again, also at the same time, is taken for theft and ends
    the session with all its tokens, so a client must not refresh twice in parallel.
    """
    return await signing_in.refresh(digest(body.refresh_token))


@router.post("/logout", status_code=204, responses=problems(SessionRequired))
async def logout(session: Writing, caller: CanWrite) -> None:
    """End the session: its access tokens and its refresh token stop working at once."""
    await sign_in.logout(session, caller)


@router.get("/me", response_model=ProfileOut)
async def get_profile(own: Own) -> ProfileOut:
    """Show your account, and your role and scopes in the project of the request."""
    return await own.get()


@router.put(
    "/me",
    response_model=ProfileOut,
    responses=problems(EmailTaken, WrongPassword, AccountLocked),
)
async def update_profile(own: OwnToChange, body: ProfilePatch) -> ProfileOut:
    """Change the given fields of your account; a new e-mail needs `current_password`."""
    return await own.update(body)


@router.post(
    "/change-password",
    status_code=204,
    responses=problems(WrongPassword, WeakPassword, AccountLocked),
)
async def change_password(own: OwnToChange, body: PasswordChange) -> None:
    """Set a new password; your other sessions end, this one goes on."""
    await own.change_password(body)


@router.post(
    "/accept-invitation",
    response_model=UserOut,
    responses=problems(InvitationInvalid, WeakPassword),
)
async def accept_invitation(
    session: Writing, database: Db, credentials: Kept, body: InvitationIn
) -> User:
    """Set the password of an account that an admin made for you; then sign in with it."""
    return await accounts.accept_invitation(session, database, credentials, body)
