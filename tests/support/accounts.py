"""Accounts made for tests, straight in the database, with tokens."""

from dataclasses import dataclass
from functools import cache

from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select

from muster.entrypoints.assembly import Muster
from muster.platform.access import PlatformRole, ProjectRole
from muster.platform.identity import Device, User, UserSession, add_account, open_session
from muster.platform.projects import Membership, Project

PASSWORD = "a long and quiet river"
"""The password of everyone."""

ROLES = {
    "superadmin": (PlatformRole.SUPERADMIN, ProjectRole.OWNER),
    "admin": (PlatformRole.ADMIN, ProjectRole.OWNER),
    "owner": (PlatformRole.USER, ProjectRole.OWNER),
    "editor": (PlatformRole.USER, ProjectRole.EDITOR),
    "operator": (PlatformRole.USER, ProjectRole.OPERATOR),
    "viewer": (PlatformRole.USER, ProjectRole.VIEWER),
    "outsider": (PlatformRole.USER, ProjectRole.OWNER),
}


@dataclass(frozen=True, slots=True)
class Accounts:
    """Tokens and user ids by name of the person."""

    tokens: dict[str, str]
    ids: dict[str, str]
    project_id: str
    other_project_id: str


@cache
def password_hash() -> str:
    """Return the hash of `PASSWORD`, weak and so computed at once."""
    return Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def email_of(name: str) -> str:
    """Return the e-mail of a person."""
    return f"{name}@muster.test"


async def make_accounts(muster: Muster) -> Accounts:
    """Make everyone, the two projects, and a session for each."""
    tokens: dict[str, str] = {}
    ids: dict[str, str] = {}
    async with muster.database.write() as session:
        shared, other = Project(name="Shared"), Project(name="Other")
        session.add_all([shared, other])
        await session.flush()
        for name, (platform_role, project_role) in ROLES.items():
            user = User(
                email=email_of(name),
                name=name.capitalize(),
                role=platform_role.value,
                password_hash=password_hash(),
            )
            await add_account(session, user)
            project = other if name == "outsider" else shared
            session.add(Membership(user_id=user.id, project_id=project.id, role=project_role.value))
            user.active_project_id = project.id
            await session.flush()
            _, opened = await open_session(
                session, muster.credentials, user, Device(ip="127.0.0.1", user_agent="tests")
            )
            tokens[name], ids[name] = opened.access_token, user.id
    return Accounts(tokens, ids, shared.id, other.id)


async def find_accounts(muster: Muster) -> Accounts:
    """Return everyone whom `make_accounts` has made, with new tokens for their sessions."""
    async with muster.database.read() as session:
        query = select(User, UserSession.id).join(UserSession, UserSession.user_id == User.id)
        found = (await session.execute(query)).all()
    people = {user.email.partition("@")[0]: (user, session_id) for user, session_id in found}
    issue = muster.credentials.access_tokens.issue
    tokens = {
        name: issue(user_id=user.id, session_id=session_id, role=user.platform_role)
        for name, (user, session_id) in people.items()
    }
    project, other = (people[name][0].active_project_id for name in ("owner", "outsider"))
    assert project is not None
    assert other is not None
    return Accounts(tokens, {name: user.id for name, (user, _) in people.items()}, project, other)
