"""What can go wrong with projects and their members."""

from muster.kernel.errors import Conflict, NotFound
from muster.platform.identity import ProjectNotFound

__all__ = ["AlreadyMember", "LastOwner", "MemberNotFound", "PersonalProject", "ProjectNotFound"]


class MemberNotFound(NotFound):
    code, title = "member_not_found", "The user is not a member of this project"


class AlreadyMember(Conflict):
    code, title = "already_member", "The user is a member of this project already"


class LastOwner(Conflict):
    code, title = "last_owner", "A project needs an owner; make another member owner first"


class PersonalProject(Conflict):
    code, title = "personal_project", "A personal project stays with its user"
