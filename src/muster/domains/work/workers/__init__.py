"""Worker nodes: machines of the user's own that offer to do the work of agents."""

from muster.domains.work.workers.errors import WorkerNotFound
from muster.domains.work.workers.models import WorkerNode
from muster.domains.work.workers.watching import WorkerWatch

__all__ = ["WorkerNode", "WorkerNotFound", "WorkerWatch"]
