"""Facts about projects; each is in the chain of its project, which outlives the project."""

from dataclasses import dataclass

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectCreated(Event):
    type = "project.created"
    subject = "project"
    project_id: str
    name: str
    is_personal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUpdated(Event):
    type = "project.updated"
    subject = "project"
    project_id: str
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDeleted(Event):
    type = "project.deleted"
    subject = "project"
    project_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectActivated(Event):
    type = "project.activated"
    subject = "project"
    project_id: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAdded(Event):
    type = "project.member_added"
    subject = "user"
    project_id: str
    user_id: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberUpdated(Event):
    type = "project.member_updated"
    subject = "user"
    project_id: str
    user_id: str
    role: str
    previous_role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRemoved(Event):
    type = "project.member_removed"
    subject = "user"
    project_id: str
    user_id: str
    reason: str
