"""What identity asks of slices above it: they register here, identity imports none of them."""

from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from muster.platform.access import Caller, ProjectRole
from muster.platform.identity.models import User


class UserHook(Protocol):
    """Acts in the transaction in which an account is made or deleted, and knows memberships."""

    async def created(self, session: AsyncSession, user: User, caller: Caller) -> None:
        """Make what every user has."""
        ...

    async def before_delete(self, session: AsyncSession, user: User, caller: Caller) -> None:
        """Take away what the user had, or raise what forbids the deletion."""
        ...

    async def role_in(
        self, session: AsyncSession, user_id: str, project_id: str
    ) -> ProjectRole | None:
        """Return the user's role in a project; None for an outsider."""
        ...


_HOOKS: list[UserHook] = []


def register_user_hook(hook: UserHook) -> None:
    """Have `hook` take part from now on."""
    _HOOKS.append(hook)


async def created(session: AsyncSession, user: User, caller: Caller) -> None:
    """Tell every hook of a new account."""
    for hook in _HOOKS:
        await hook.created(session, user, caller)


async def before_delete(session: AsyncSession, user: User, caller: Caller) -> None:
    """Ask every hook before an account is deleted."""
    for hook in _HOOKS:
        await hook.before_delete(session, user, caller)


async def role_in(session: AsyncSession, user_id: str, project_id: str) -> ProjectRole | None:
    """Return the user's role in a project; None for an outsider."""
    for hook in _HOOKS:
        if (role := await hook.role_in(session, user_id, project_id)) is not None:
            return role
    return None
