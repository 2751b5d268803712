"""What projects do when an account is made or deleted."""

from dataclasses import replace

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from muster.platform import events
from muster.platform.access import Caller, ProjectRole
from muster.platform.identity import User
from muster.platform.projects.errors import LastOwner
from muster.platform.projects.events import MemberRemoved, ProjectCreated, ProjectDeleted
from muster.platform.projects.models import Membership, Project
from muster.platform.projects.repository import ProjectRepository

_NAME_LENGTH = 120
_SUFFIX = "'s project"


class PersonalProjects:
    """Gives every user a project of their own, and takes it back with the account."""

    async def created(self, session: AsyncSession, user: User, caller: Caller) -> None:
        name = user.name[: _NAME_LENGTH - len(_SUFFIX)] + _SUFFIX
        project = Project(name=name, is_personal=True)
        await ProjectRepository(session).add(project, user.id)
        user.personal_project_id = user.active_project_id = project.id
        await session.flush()
        event = ProjectCreated(project_id=project.id, name=name, is_personal=True)
        events.record(session, replace(caller, project_id=project.id), event)

    async def before_delete(self, session: AsyncSession, user: User, caller: Caller) -> None:
        projects = ProjectRepository(session)
        memberships = (
            select(Project, Membership.role)
            .join(Membership, Membership.project_id == Project.id)
            .where(Membership.user_id == user.id)
            .order_by(Project.id)
            .with_for_update(of=Project, key_share=True)
        )
        rows = (await session.execute(memberships)).all()
        orphans = [
            {"id": project.id, "name": project.name}
            for project, _ in rows
            if await self._would_orphan(session, user, project)
        ]
        if orphans:
            names = ", ".join(repr(orphan["name"]) for orphan in orphans)
            raise LastOwner(
                f"The user is the last owner of {names}; give each another owner, or delete it "
                "or remove its other members first.",
                details={"projects": orphans},
            )
        for project, _ in rows:
            actor = replace(caller, project_id=project.id)
            if project.id == user.personal_project_id:
                user.personal_project_id = user.active_project_id = None
                await session.flush()
                await projects.delete(project.id)
                event = ProjectDeleted(project_id=project.id, name=project.name)
                events.record(session, actor, event)
                continue
            await projects.leave(user.id, project.id)
            removed = MemberRemoved(project_id=project.id, user_id=user.id, reason="user_deleted")
            events.record(session, actor, removed)
        await session.flush()

    async def role_in(
        self, session: AsyncSession, user_id: str, project_id: str
    ) -> ProjectRole | None:
        statement = select(Membership.role).where(
            Membership.user_id == user_id, Membership.project_id == project_id
        )
        role = await session.scalar(statement)
        return ProjectRole(role) if role else None

    @staticmethod
    async def _would_orphan(session: AsyncSession, user: User, project: Project) -> bool:
        """Tell whether the project would be left without an owner, or its members without it."""
        others = (
            select(func.count())
            .select_from(Membership)
            .where(Membership.project_id == project.id, Membership.user_id != user.id)
        )
        if project.id == user.personal_project_id:
            return bool(await session.scalar(others))
        owned = others.where(Membership.role == ProjectRole.OWNER.value)
        return not await session.scalar(owned)
