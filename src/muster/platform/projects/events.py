"""Facts about projects; each is in the chain of its project, which outlives the project."""

from muster.platform.events import Event


class ProjectCreated(Event, frozen=True, kw_only=True):
    type = "project.created"
    subject = "project"
    project_id: str
    name: str
    is_personal: bool


class ProjectUpdated(Event, frozen=True, kw_only=True):
    type = "project.updated"
    subject = "project"
    project_id: str
    changed: list[str]


class ProjectDeleted(Event, frozen=True, kw_only=True):
    type = "project.deleted"
    subject = "project"
    project_id: str
    name: str


class ProjectActivated(Event, frozen=True, kw_only=True):
    type = "project.activated"
    subject = "project"
    project_id: str
    user_id: str


class MemberAdded(Event, frozen=True, kw_only=True):
    type = "project.member_added"
    subject = "user"
    project_id: str
    user_id: str
    role: str


class MemberUpdated(Event, frozen=True, kw_only=True):
    type = "project.member_updated"
    subject = "user"
    project_id: str
    user_id: str
    role: str
    previous_role: str


class MemberRemoved(Event, frozen=True, kw_only=True):
    type = "project.member_removed"
    subject = "user"
    project_id: str
    user_id: str
    reason: str
