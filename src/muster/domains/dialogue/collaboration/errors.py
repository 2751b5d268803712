"""What can go wrong with collaboration sessions."""

from muster.kernel.errors import Conflict, Invalid, NotFound


class CollaborationNotFound(NotFound):
    code, title = "collaboration_not_found", "No such collaboration session in this project"


class CollaborationClosed(Conflict):
    code, title = "collaboration_closed", "The collaboration session is closed"


class CollaborationFull(Conflict):
    code, title = "collaboration_full", "The collaboration session holds no more"


class NotParticipant(Conflict):
    code, title = "not_a_participant", "The agent takes no part in the collaboration session"


class ParticipantNotFound(NotFound):
    code, title = "participant_not_found", "No such agent takes part in the session"


class ContextTooLarge(Invalid):
    code, title = "context_too_large", "The shared context would become too large"
