"""What can go wrong with approvals."""

from muster.kernel.errors import Conflict, Gone, Invalid, NotFound


class ApprovalNotFound(NotFound):
    code, title = "approval_not_found", "No such approval in this project"


class ApprovalDecided(Conflict):
    code, title = "approval_decided", "The approval was decided already"


class ApprovalExpired(Gone):
    code, title = "approval_expired", "The approval's time is over"


class ApprovalChoiceInvalid(Invalid):
    code, title = "approval_choice_invalid", "The approval has no such choice"


class ApprovalArgumentsInvalid(Invalid):
    code, title = "approval_arguments_invalid", "The edited arguments do not fit the tool"
