"""Facts that the tests of the event log record."""

from muster.domains.catalogue.agents.events import AgentCreated, AgentStatusChanged
from muster.domains.control.approvals.events import ApprovalRequested
from muster.domains.work.runs.events import RunCompleted, RunCreated, RunStarted
from muster.entrypoints.assembly import Muster
from muster.platform.access import Caller
from muster.platform.events import Event, record


def agent_created(name: str = "Ada") -> Event:
    return AgentCreated(agent_id=f"agent-{name[:9]}", key=name[:9].lower(), name=name)


def agent_status(status: str = "idle") -> Event:
    return AgentStatusChanged(
        agent_id="agent-Ada", key="ada", name="Ada", status=status, is_started=True
    )


def run_created(run_id: str = "run-1") -> Event:
    return RunCreated(run_id=run_id, name="Quiet river", kind="agent", agent_id=None, origin="api")


def run_started(run_id: str = "run-1") -> Event:
    return RunStarted(run_id=run_id, name="Quiet river", agent_id=None, segment=1)


def run_completed(run_id: str = "run-1") -> Event:
    return RunCompleted(
        run_id=run_id,
        name="Quiet river",
        agent_id=None,
        status="completed",
        reason=None,
        duration_ms=12.5,
        head_seq=5,
        head_hash="0" * 64,
    )


def approval_requested() -> Event:
    return ApprovalRequested(
        approval_id="approval-1", kind="tool", title="May I?", run_id="run-1", agent_id=None
    )


async def tell(muster: Muster, project_id: str, *events: Event) -> None:
    """Record events in one unit of work."""
    async with muster.database.write() as session:
        for event in events:
            record(session, Caller.system(project_id), event)
