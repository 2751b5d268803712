"""What can go wrong with dead letters."""

from muster.kernel.errors import Conflict, NotFound


class DeadLetterNotFound(NotFound):
    code, title = "dead_letter_not_found", "No such dead letter in this project"


class DeadLetterTaskGone(Conflict):
    code, title = "dead_letter_task_gone", "The task that failed is not there any more"


class DeadLetterTaken(Conflict):
    code, title = "dead_letter_taken", "The run lies in the dead letters already"


class DeadLetterRefused(Conflict):
    code, title = "dead_letter_refused", "This run cannot lie in the dead letters"


class DeadLetterRetried(Conflict):
    code, title = "dead_letter_retried", "It was retried already"
