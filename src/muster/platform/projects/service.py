"""What one can do with projects and their members."""

from dataclasses import replace

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from muster.kernel.paging import ListParams, Rows
from muster.platform import events
from muster.platform.access import Caller, ProjectRole
from muster.platform.identity import User, revoke_keys
from muster.platform.projects.errors import LastOwner, PersonalProject, ProjectNotFound
from muster.platform.projects.events import (
    MemberAdded,
    MemberRemoved,
    MemberUpdated,
    ProjectActivated,
    ProjectCreated,
    ProjectDeleted,
    ProjectUpdated,
)
from muster.platform.projects.models import Membership, Project
from muster.platform.projects.repository import ProjectRepository
from muster.platform.projects.schemas import (
    ActiveProjectOut,
    MemberCreate,
    MemberOut,
    MemberPatch,
    ProjectCreate,
    ProjectList,
    ProjectOut,
    ProjectPatch,
)


class ProjectService:
    """Projects as one caller sees them. The caller's project is the one that the path names."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._projects = ProjectRepository(session)

    async def list(self, params: ProjectList) -> Rows[ProjectOut]:
        # A key knows of its own project alone.
        only = self._caller.project_id if self._caller.key_id else None
        rows = await self._projects.of_user(self._caller.id, params, only=only)
        items = [ProjectOut.of(m.project, m.project_role) for m in rows.items]
        return Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)

    async def create(self, body: ProjectCreate) -> ProjectOut:
        project = await self._projects.add(Project(**body.model_dump()), self._caller.id)
        event = ProjectCreated(project_id=project.id, name=project.name, is_personal=False)
        events.record(self._session, replace(self._caller, project_id=project.id), event)
        return ProjectOut.of(project, ProjectRole.OWNER)

    async def get(self) -> ProjectOut:
        return self._view(await self._projects.get(self._caller.project_id))

    async def update(self, body: ProjectPatch) -> ProjectOut:
        project = await self._projects.lock(self._caller.project_id)
        changes = body.model_dump()
        changed = [name for name, value in changes.items() if getattr(project, name) != value]
        for name in changed:
            setattr(project, name, changes[name])
        await self._session.flush()
        if changed:
            event = ProjectUpdated(project_id=project.id, changed=sorted(changed))
            events.record(self._session, self._caller, event)
        return self._view(project)

    async def delete(self) -> None:
        """Delete the project with everything in it; its events stay."""
        project = await self._projects.lock(self._caller.project_id)
        if project.is_personal:
            raise PersonalProject("A personal project cannot be deleted; it goes with its user.")
        await self._projects.delete(project.id)
        event = ProjectDeleted(project_id=project.id, name=project.name)
        events.record(self._session, self._caller, event)

    async def activate(self) -> ActiveProjectOut:
        """Have the caller's requests act in this project unless they name another."""
        project = await self._projects.get(self._caller.project_id)
        changed = await self._session.execute(
            update(User)
            .where(User.id == self._caller.id, User.active_project_id.is_distinct_from(project.id))
            .values(active_project_id=project.id, updated_at=User.updated_at)
            .returning(User.id)
        )
        if changed.one_or_none() is not None:
            event = ProjectActivated(project_id=project.id, user_id=self._caller.id)
            events.record(self._session, self._caller, event)
        shown = self._view(project).model_dump()
        return ActiveProjectOut(**shown, status="ok", active_project_id=project.id)

    def _view(self, project: Project) -> ProjectOut:
        if self._caller.project_role is None:
            raise ProjectNotFound
        return ProjectOut.of(project, self._caller.project_role)


class MemberService:
    """Members of the project that the path names."""

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session, self._caller = session, caller
        self._project_id = caller.project_id
        self._projects = ProjectRepository(session)

    async def list(self, params: ListParams) -> Rows[MemberOut]:
        await self._projects.get(self._project_id)
        rows = await self._projects.members(self._project_id, params)
        items = [MemberOut.of(m) for m in rows.items]
        return Rows(items, rows.total, rows.limit, rows.offset, rows.has_more)

    async def add(self, body: MemberCreate) -> MemberOut:
        await self._projects.lock(self._project_id)
        user = await self._projects.find_user(user_id=body.user_id, email=body.email)
        await self._projects.add_member(self._project_id, user.id, body.role)
        event = MemberAdded(project_id=self._project_id, user_id=user.id, role=body.role.value)
        events.record(self._session, self._caller, event)
        return MemberOut.of(await self._projects.get_member(self._project_id, user.id))

    async def update(self, user_id: str, body: MemberPatch) -> MemberOut:
        membership = await self._lock_member(user_id)
        previous = membership.project_role
        if previous is not body.role:
            await self._require_may_lose(membership, body.role)
            membership.role = body.role.value
            await self._session.flush()
            event = MemberUpdated(
                project_id=self._project_id,
                user_id=user_id,
                role=body.role.value,
                previous_role=previous.value,
            )
            events.record(self._session, self._caller, event)
        return MemberOut.of(membership)

    async def remove(self, user_id: str) -> None:
        """Remove a member, whose keys to this project are revoked."""
        membership = await self._lock_member(user_id)
        await self._require_may_lose(membership, None)
        await self._projects.leave(user_id, self._project_id)
        await revoke_keys(
            self._session, self._caller, user_id, "member_removed", project_id=self._project_id
        )
        event = MemberRemoved(project_id=self._project_id, user_id=user_id, reason="removed")
        events.record(self._session, self._caller, event)

    async def _lock_member(self, user_id: str) -> Membership:
        # One lock for all members: two owners who demote each other wait for one another here.
        await self._projects.lock(self._project_id)
        return await self._projects.get_member(self._project_id, user_id)

    async def _require_may_lose(self, membership: Membership, role: ProjectRole | None) -> None:
        if membership.project_role is not ProjectRole.OWNER or role is ProjectRole.OWNER:
            return
        if membership.user.personal_project_id == self._project_id:
            raise PersonalProject("The user whose personal project this is stays its owner.")
        if await self._projects.owners(self._project_id) == {membership.user_id}:
            raise LastOwner
