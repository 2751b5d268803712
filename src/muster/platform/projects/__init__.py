"""Projects: the tenants, their members, and in which of them a request acts."""

from muster.platform.identity import register_user_hook
from muster.platform.projects.acting import acting_caller
from muster.platform.projects.authentication import authenticate, authenticate_token
from muster.platform.projects.errors import ProjectNotFound
from muster.platform.projects.models import Membership, Project
from muster.platform.projects.personal import PersonalProjects

register_user_hook(PersonalProjects())

__all__ = [
    "Membership",
    "Project",
    "ProjectNotFound",
    "acting_caller",
    "authenticate",
    "authenticate_token",
]
