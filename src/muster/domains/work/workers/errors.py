"""What can go wrong with worker nodes."""

from muster.kernel.errors import Conflict, NotFound


class WorkerNotFound(NotFound):
    code, title = "worker_not_found", "No such worker"


class WorkerNotReady(Conflict):
    code, title = "worker_not_ready", "The worker may not take tasks now"


class WorkerNameTaken(Conflict):
    code, title = "worker_name_taken", "A worker with this name exists in the project"
