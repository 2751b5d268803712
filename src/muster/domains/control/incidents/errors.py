"""What can go wrong with incidents."""

from muster.kernel.errors import Conflict, NotFound


class IncidentNotFound(NotFound):
    code, title = "incident_not_found", "No such incident in this project"


class IncidentMoveIllegal(Conflict):
    code, title = "incident_move_illegal", "The incident's status does not allow this"


class IncidentFollowed(Conflict):
    code, title = "incident_followed", "A newer incident of the same policy and agent is unresolved"
