"""HTTP surface of projects and their members."""

from typing import Annotated

from fastapi import Depends, Query

from muster.kernel.http import Reading, Router, Writing, problems
from muster.kernel.paging import ListParams, Page, Rows
from muster.platform.access import Caller, CurrentCaller, Scope, requires
from muster.platform.identity import UserNotFound
from muster.platform.projects.errors import (
    AlreadyMember,
    LastOwner,
    MemberNotFound,
    PersonalProject,
    ProjectNotFound,
)
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
from muster.platform.projects.service import MemberService, ProjectService

router = Router("/projects", tag="projects")


async def _require_member(caller: CurrentCaller) -> None:
    """Answer admins who are no members like every other outsider."""
    if caller.project_role is None:
        raise ProjectNotFound


Members = [Depends(_require_member)]
"""Checked before the scopes, so that an outsider is told nothing about the project."""

CanList = Annotated[Caller, requires(Scope.PROFILE_READ)]
CanCreate = Annotated[Caller, requires(Scope.PROJECTS_CREATE)]
CanActivate = Annotated[Caller, requires(Scope.PROFILE_WRITE)]
CanRead = Annotated[Caller, requires(Scope.PROJECTS_READ)]
CanWrite = Annotated[Caller, requires(Scope.PROJECTS_WRITE)]
CanReadMembers = Annotated[Caller, requires(Scope.PROJECTS_READ, Scope.USERS_READ)]
CanManage = Annotated[Caller, requires(Scope.PROJECTS_WRITE, Scope.USERS_WRITE)]


async def _lister(session: Reading, caller: CanList) -> ProjectService:
    return ProjectService(session, caller)


async def _creator(session: Writing, caller: CanCreate) -> ProjectService:
    return ProjectService(session, caller)


async def _reader(session: Reading, caller: CanRead) -> ProjectService:
    return ProjectService(session, caller)


async def _writer(session: Writing, caller: CanWrite) -> ProjectService:
    return ProjectService(session, caller)


async def _activator(session: Writing, caller: CanActivate) -> ProjectService:
    return ProjectService(session, caller)


async def _member_reader(session: Reading, caller: CanReadMembers) -> MemberService:
    return MemberService(session, caller)


async def _member_writer(session: Writing, caller: CanManage) -> MemberService:
    return MemberService(session, caller)


Lister = Annotated[ProjectService, Depends(_lister)]
Creator = Annotated[ProjectService, Depends(_creator)]
Reader = Annotated[ProjectService, Depends(_reader)]
Writer = Annotated[ProjectService, Depends(_writer)]
Activator = Annotated[ProjectService, Depends(_activator)]
MemberReader = Annotated[MemberService, Depends(_member_reader)]
MemberWriter = Annotated[MemberService, Depends(_member_writer)]


@router.get("", response_model=Page[ProjectOut])
async def list_projects(
    projects: Lister, params: Annotated[ProjectList, Query()]
) -> Rows[ProjectOut]:
    """List the projects that you are a member of, newest first, with your role in each."""
    return await projects.list(params)


@router.post("", status_code=201, response_model=ProjectOut)
async def create_project(projects: Creator, body: ProjectCreate) -> ProjectOut:
    """Make a project and become its owner. Names need not be unique."""
    return await projects.create(body)


@router.get(
    "/{project_id}",
    response_model=ProjectOut,
    responses=problems(ProjectNotFound),
    dependencies=Members,
)
async def get_project(projects: Reader, project_id: str) -> ProjectOut:  # noqa: ARG001
    """Get a project. A project that you are no member of reads like one that does not exist."""
    return await projects.get()


@router.patch(
    "/{project_id}",
    name="patch_project",
    response_model=ProjectOut,
    responses=problems(ProjectNotFound),
    dependencies=Members,
)
@router.put(
    "/{project_id}",
    response_model=ProjectOut,
    responses=problems(ProjectNotFound),
    dependencies=Members,
)
async def update_project(projects: Writer, project_id: str, body: ProjectPatch) -> ProjectOut:  # noqa: ARG001
    """Change the given fields of a project; the others keep their values."""
    return await projects.update(body)


@router.delete(
    "/{project_id}",
    status_code=204,
    responses=problems(ProjectNotFound, PersonalProject),
    dependencies=Members,
)
async def delete_project(projects: Writer, project_id: str) -> None:  # noqa: ARG001
    """Delete a project with everything that belongs to it; only its events are kept.

    Members for whom it was the active project go on in their personal one, which itself cannot
    be deleted.
    """
    await projects.delete()


@router.post(
    "/{project_id}/activate",
    response_model=ActiveProjectOut,
    responses=problems(ProjectNotFound),
    dependencies=Members,
)
async def activate_project(projects: Activator, project_id: str) -> ActiveProjectOut:  # noqa: ARG001
    """Make this your active project: requests that name no project act in it."""
    return await projects.activate()


@router.get(
    "/{project_id}/members",
    response_model=Page[MemberOut],
    responses=problems(ProjectNotFound),
)
async def list_project_members(
    members: MemberReader,
    project_id: str,  # noqa: ARG001
    params: Annotated[ListParams, Query()],
) -> Rows[MemberOut]:
    """List the members of a project by name, with their roles."""
    return await members.list(params)


@router.post(
    "/{project_id}/members",
    status_code=201,
    response_model=MemberOut,
    responses=problems(ProjectNotFound, UserNotFound, AlreadyMember),
)
async def add_project_member(
    members: MemberWriter,
    project_id: str,  # noqa: ARG001
    body: MemberCreate,
) -> MemberOut:
    """Add a user to a project, as an owner of it or as an admin of the platform."""
    return await members.add(body)


@router.put(
    "/{project_id}/members/{user_id}",
    response_model=MemberOut,
    responses=problems(ProjectNotFound, MemberNotFound, LastOwner, PersonalProject),
)
async def update_project_member(
    members: MemberWriter,
    project_id: str,  # noqa: ARG001
    user_id: str,
    body: MemberPatch,
) -> MemberOut:
    """Give a member another role. The last owner of a project stays owner."""
    return await members.update(user_id, body)


@router.delete(
    "/{project_id}/members/{user_id}",
    status_code=204,
    responses=problems(ProjectNotFound, MemberNotFound, LastOwner, PersonalProject),
)
async def remove_project_member(
    members: MemberWriter,
    project_id: str,  # noqa: ARG001
    user_id: str,
) -> None:
    """Remove a member, whose API keys to the project are revoked.

    If it was the member's active project, the member goes on in the personal one. The last owner
    of a project stays.
    """
    await members.remove(user_id)
