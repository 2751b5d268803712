"""Every query on accounts and keys."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.db import is_unique_violation
from muster.kernel.paging import ListParams, Rows, paginate
from muster.platform.access import PlatformRole
from muster.platform.identity.errors import ApiKeyNotFound, EmailTaken, UserNotFound
from muster.platform.identity.models import ApiKey, User

if TYPE_CHECKING:
    from muster.platform.identity.schemas import UserList

_FIRST_ACCOUNT_LOCK = 0x6D75_7374_6572
"""Key of the advisory lock under which the first account is made: any number, always the same."""


class UserRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    @staticmethod
    def query() -> Select[Any]:
        """Return the statement that every query of accounts begins with: no tombstones."""
        return select(User).where(User.deleted_at.is_(None))

    async def find_by_email(self, email: str) -> User | None:
        found: User | None = await self.session.scalar(self.query().where(User.email == email))
        return found

    async def get(self, id: str) -> User:
        found: User | None = await self.session.scalar(self.query().where(User.id == id))
        if found is None:
            raise UserNotFound
        return found

    async def lock(self, id: str) -> User:
        """Return the account as it is now, and keep others from changing it until the commit."""
        statement = self.query().where(User.id == id).with_for_update(key_share=True)
        found: User | None = await self.session.scalar(
            statement, execution_options={"populate_existing": True}
        )
        if found is None:
            raise UserNotFound
        return found

    async def search(self, params: "UserList") -> Rows[User]:
        query = self.query()
        if params.search:
            matches = [
                column.icontains(params.search, autoescape=True)
                for column in (User.email, User.name)
            ]
            query = query.where(matches[0] | matches[1])
        if params.role is not None:
            query = query.where(User.role == params.role.value)
        if params.is_active is not None:
            query = query.where(User.is_active == params.is_active)
        return await paginate(
            self.session, query, params, sort=(User.created_at, True), tiebreak=User.id
        )

    async def add(self, user: User) -> User:
        self.session.add(user)
        await self.flush()
        return user

    async def flush(self) -> None:
        try:
            await self.session.flush()
        except IntegrityError as error:
            if is_unique_violation(error):
                raise EmailTaken from error
            raise

    async def is_empty(self) -> bool:
        """Tell whether nobody ever had an account; of two that ask at once, one waits."""
        any_user = select(User.id).limit(1)
        if await self.session.scalar(any_user) is not None:
            return False
        # SQLite has one writer at a time anyway.
        if self.session.get_bind().dialect.name == "postgresql":
            await self.session.execute(select(func.pg_advisory_xact_lock(_FIRST_ACCOUNT_LOCK)))
        return await self.session.scalar(any_user) is None

    async def lock_superadmins(self) -> set[str]:
        """Return the active superadmins; two who demote each other wait for one another here."""
        statement = (
            select(User.id)
            .where(User.role == PlatformRole.SUPERADMIN.value, User.is_active)
            .order_by(User.id)
            .with_for_update(key_share=True)
        )
        return set((await self.session.scalars(statement)).all())


class ApiKeyRepository:
    """Keys of one user."""

    def __init__(self, session: AsyncSession, user_id: str) -> None:
        self.session, self.user_id = session, user_id

    def query(self) -> Select[Any]:
        return select(ApiKey).where(ApiKey.user_id == self.user_id)

    async def get(self, id: str) -> ApiKey:
        found: ApiKey | None = await self.session.scalar(self.query().where(ApiKey.id == id))
        if found is None:
            raise ApiKeyNotFound
        return found

    async def page(self, params: ListParams) -> Rows[ApiKey]:
        return await paginate(
            self.session,
            self.query(),
            params,
            sort=(ApiKey.created_at, True),
            tiebreak=ApiKey.id,
        )
