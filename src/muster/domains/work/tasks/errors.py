"""What can go wrong with tasks."""

from muster.kernel.errors import Conflict, Forbidden, NotFound


class TaskNotFound(NotFound):
    code, title = "task_not_found", "No such task in this project"


class TaskAmbiguous(Conflict):
    code, title = "task_ambiguous", "Several tasks have this name; give the id of the one you mean"


class TaskNotReady(Conflict):
    code, title = "task_not_ready", "The task is not fully configured and cannot be run"


class TaskAtWork(Conflict):
    code, title = "task_at_work", "A run of the task is under way; cancel it first"


class TaskNotForWorker(Conflict):
    code, title = "task_not_for_worker", "No agent of this worker is to do the task"


class TaskLeased(Conflict):
    code, title = "task_leased", "Another worker has the task; take another task"


class TaskNotLeased(Conflict):
    code, title = "task_not_leased", "The worker does not have the task; claim it first"


class TaskEnded(Conflict):
    code, title = "task_ended", "The task has ended and cannot be cancelled any more"


class TaskSecretsRefused(Forbidden):
    code, title = "task_secrets_refused", "Your role may not store the secrets of tools"
