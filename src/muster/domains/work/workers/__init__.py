"""Worker nodes: machines of the user's own that take the tasks of agents, and do them."""

from muster.domains.work.workers.errors import WorkerNotFound
from muster.domains.work.workers.models import WorkerNode
from muster.domains.work.workers.watching import WorkerWatch

__all__ = ["WorkerNode", "WorkerNotFound", "WorkerWatch"]
