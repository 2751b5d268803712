"""Request and response bodies of projects and their members."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    MISSING,
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    computed_field,
    model_validator,
)

from muster.kernel.paging import ListParams
from muster.kernel.schemas import In, Out, RecordOut, UtcTime
from muster.platform.access import ProjectRole
from muster.platform.projects.models import Membership, Project

ProjectName = Annotated[
    str, StringConstraints(min_length=1, max_length=120), Field(examples=["Customer support"])
]
Description = Annotated[
    str, StringConstraints(max_length=4000), Field(examples=["Agents that answer tickets"])
]


class ProjectCreate(In):
    name: ProjectName
    description: Description | None = None


class ProjectPatch(In):
    name: ProjectName | MISSING = MISSING
    description: Description | MISSING | None = MISSING


class ProjectList(ListParams):
    search: Annotated[
        str | None, Field(max_length=200, description="Name contains, in any case.")
    ] = None


class ProjectOut(RecordOut):
    """A project, and the caller's role in it."""

    name: str
    description: str | None
    is_personal: bool
    role: ProjectRole

    @classmethod
    def of(cls, project: Project, role: ProjectRole) -> "ProjectOut":
        """Put a project and a role together."""
        return cls(
            id=project.id,
            name=project.name,
            description=project.description,
            is_personal=project.is_personal,
            role=role,
            created_at=project.created_at,
            updated_at=project.updated_at,
        )


class ActiveProjectOut(ProjectOut):
    """The project that requests without a project act in from now on."""

    status: str
    active_project_id: str


class MemberCreate(In):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "grace@example.org", "role": "editor"}]}
    )

    user_id: Annotated[str | None, Field(max_length=64)] = None
    email: Annotated[
        str | None,
        StringConstraints(max_length=254),
        AfterValidator(lambda value: value and value.lower()),
        Field(description="Instead of `user_id`.", examples=["grace@example.org"]),
    ] = None
    role: ProjectRole

    @model_validator(mode="after")
    def _names_one_user(self) -> "MemberCreate":
        if (self.user_id is None) == (self.email is None):
            raise ValueError("send either user_id or email")
        return self


class MemberPatch(In):
    role: Annotated[ProjectRole, Field(examples=["operator"])]


class MemberOut(Out):
    """A member of a project."""

    user_id: str
    name: str
    email: str
    picture: str | None
    role: ProjectRole
    created_at: UtcTime

    @computed_field(description="The same as `user_id`.")
    @property
    def id(self) -> str:
        return self.user_id

    @classmethod
    def of(cls, membership: Membership) -> "MemberOut":
        """Put a membership and its user together."""
        fields: dict[str, Any] = {n: getattr(membership.user, n) for n in _OF_USER}
        joined: datetime = membership.created_at
        return cls(
            **fields, user_id=membership.user_id, role=membership.project_role, created_at=joined
        )


_OF_USER = ("name", "email", "picture")
