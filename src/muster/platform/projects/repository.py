"""Every query on projects and memberships."""

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager

from muster.kernel.db import is_unique_violation
from muster.kernel.paging import ListParams, Rows, paginate
from muster.platform.access import ProjectRole
from muster.platform.identity import User, UserNotFound
from muster.platform.projects.errors import AlreadyMember, MemberNotFound, ProjectNotFound
from muster.platform.projects.models import Membership, Project

if TYPE_CHECKING:
    from muster.platform.projects.schemas import ProjectList


class ProjectRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, id: str) -> Project:
        found = await self.session.scalar(select(Project).where(Project.id == id))
        if found is None:
            raise ProjectNotFound
        return found

    async def lock(self, id: str) -> Project:
        """Return the project, and keep others from changing its members until the commit."""
        # Not the strongest lock: rows that refer to the project can be inserted meanwhile.
        statement = select(Project).where(Project.id == id).with_for_update(key_share=True)
        found = await self.session.scalar(statement)
        if found is None:
            raise ProjectNotFound
        return found

    async def add(self, project: Project, owner_id: str) -> Project:
        self.session.add(project)
        await self.session.flush()
        await self.add_member(project.id, owner_id, ProjectRole.OWNER)
        return project

    async def delete(self, id: str) -> None:
        """Delete a project; what belongs to it goes by foreign key."""
        await self.session.execute(
            update(User)
            .where(User.active_project_id == id)
            .values(active_project_id=User.personal_project_id, updated_at=User.updated_at)
        )
        await self.session.execute(delete(Project).where(Project.id == id))

    async def of_user(
        self, user_id: str, params: "ProjectList", *, only: str | None
    ) -> Rows[Membership]:
        query = (
            select(Membership)
            .join(Membership.project)
            .where(Membership.user_id == user_id)
            .options(contains_eager(Membership.project))
        )
        if only is not None:
            query = query.where(Project.id == only)
        if params.search:
            query = query.where(Project.name.icontains(params.search, autoescape=True))
        return await paginate(
            self.session, query, params, sort=(Project.created_at, True), tiebreak=Project.id
        )

    async def members(self, project_id: str, params: ListParams) -> Rows[Membership]:
        query = (
            select(Membership)
            .join(Membership.user)
            .where(Membership.project_id == project_id)
            .options(contains_eager(Membership.user))
        )
        return await paginate(
            self.session, query, params, sort=(User.name, False), tiebreak=User.id
        )

    async def add_member(self, project_id: str, user_id: str, role: ProjectRole) -> Membership:
        membership = Membership(project_id=project_id, user_id=user_id, role=role.value)
        self.session.add(membership)
        try:
            await self.session.flush()
        except IntegrityError as error:
            if is_unique_violation(error):
                raise AlreadyMember from error
            raise
        return membership

    async def get_member(self, project_id: str, user_id: str) -> Membership:
        found = await self.session.scalar(
            select(Membership)
            .join(Membership.user)
            .where(Membership.project_id == project_id, Membership.user_id == user_id)
            .options(contains_eager(Membership.user))
        )
        if found is None:
            raise MemberNotFound
        return found

    async def owners(self, project_id: str) -> set[str]:
        """Return the owners; the lock on the project must be held to rely on the answer."""
        statement = select(Membership.user_id).where(
            Membership.project_id == project_id, Membership.role == ProjectRole.OWNER.value
        )
        return set((await self.session.scalars(statement)).all())

    async def find_user(self, *, user_id: str | None, email: str | None) -> User:
        """Return an account that is not deleted, by its id or its e-mail."""
        same = User.id == user_id if user_id is not None else User.email == email
        found = await self.session.scalar(select(User).where(same, User.deleted_at.is_(None)))
        if found is None:
            raise UserNotFound
        return found

    async def leave(self, user_id: str, project_id: str) -> None:
        """Delete a membership; a user who was active there goes on in the personal project."""
        await self.session.execute(
            delete(Membership).where(
                Membership.user_id == user_id, Membership.project_id == project_id
            )
        )
        await self.session.execute(
            update(User)
            .where(User.id == user_id, User.active_project_id == project_id)
            .values(active_project_id=User.personal_project_id, updated_at=User.updated_at)
        )
