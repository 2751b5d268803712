"""Putting together what executes runs."""

from contextlib import AsyncExitStack
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from muster.adapters.blobs import LocalBlobStore
from muster.domains.catalogue.models import ModelCatalogue
from muster.domains.catalogue.tools import ToolCatalogue
from muster.domains.control.access_rules import AccessCheck, AccessRules
from muster.domains.control.actions import decide_about_agent
from muster.domains.control.approvals import Approval
from muster.domains.control.breakers import BreakerCheck, Circuits
from muster.domains.control.budgets import BudgetCheck
from muster.domains.control.gate import Gate, standard_checks
from muster.domains.control.policies import (
    CompiledPolicies,
    DryRuns,
    Evaluator,
    Memories,
    PolicyCheck,
    RegistrationJudge,
)
from muster.domains.work.costs import ExternalCosts, JournalSpending
from muster.domains.work.journal import PLAN_KINDS, JournalReader, JournalWriter
from muster.domains.work.launching import Launcher
from muster.domains.work.logs import Intake
from muster.domains.work.oversight import JournalHistory, PolicyEndings, PolicyObserver
from muster.domains.work.runs import (
    JOB_KIND,
    AgentSegment,
    BareCalls,
    Detached,
    RunExecutor,
    RunParts,
    hold_line,
    wake_decided,
)
from muster.engine import Engine, EngineOptions
from muster.kernel.background import in_background, repeat
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.kernel.http.idempotency import forget_old
from muster.kernel.live import LiveBus
from muster.kernel.logging import get_logger
from muster.kernel.settings import Settings
from muster.platform.access import Caller
from muster.platform.deliveries import Courier

EngineMode = Literal["work", "submit", "off"]
"""Whether a process executes runs, only gives them to those that do, or does neither."""

_HOUSEKEEPING_S = 3600

logger = get_logger(__name__)


class Wakes:
    """Lets a run that waited for people go on, in the unit of work of their decision."""

    def __init__(self, parts: RunParts, master_key: MasterKey) -> None:
        self._parts, self._master_key = parts, master_key

    async def hold(self, session: AsyncSession, run_id: str) -> None:
        """Let nobody else move the run until the unit of work ends."""
        await hold_line(session, run_id)

    async def __call__(self, session: AsyncSession, caller: Caller, approval: Approval) -> None:
        """Let the run go on when nothing else is asked, or the agent that was asked about."""
        if approval.run_id is not None:
            await wake_decided(session, approval.run_id, self._parts.engine)
        else:
            await decide_about_agent(session, caller, approval, self._master_key)


class Running:
    """The runs' part of a process.

    Args:
        settings: Settings of the process.
        mode: How it takes part in the work.
        database: The database.
        live: The live bus.
        models: The models.
        tools: The tools.
        courier: What delivers messages that go out.
        master_key: The key that seals secrets.
    """

    def __init__(
        self,
        settings: Settings,
        mode: EngineMode,
        *,
        database: Database,
        live: LiveBus,
        models: ModelCatalogue,
        tools: ToolCatalogue,
        courier: Courier,
        master_key: MasterKey,
    ) -> None:
        self._courier = courier
        self._mode, self._database = mode, database
        blobs = LocalBlobStore(settings.data_dir / "blobs")
        self.cost_journal = JournalSpending()
        self.budgets = BudgetCheck(database, live, self.cost_journal)
        self.circuits = Circuits(database, live, settings.breakers)
        self._breakers = BreakerCheck(self.circuits)
        self.access_rules = AccessRules(database, live)
        policies = CompiledPolicies(database, live)
        history = JournalHistory(database, blobs)
        memories = Memories(history)
        self.dry_runs = DryRuns(policies, history)
        costs = ExternalCosts(database, self.budgets)
        self.evaluator = Evaluator(database, policies, memories, costs)
        self.registration_judge = RegistrationJudge(policies)
        access = AccessCheck(self.access_rules)
        self.bare_calls = BareCalls(Gate([access, self.budgets, self._breakers]))
        checks = [
            access,
            *standard_checks(self._recent_calls),
            PolicyCheck(database, policies, memories),
            self.budgets,
            self._breakers,
        ]
        self.engine = (
            Engine(engine_options(settings, work=mode == "work"), database, live)
            if mode != "off"
            else None
        )
        self.parts = RunParts(
            database=database,
            live=live,
            writer=JournalWriter(
                database, live, blobs, blob_threshold=settings.runs.blob_threshold_kb * 1024
            ),
            blobs=blobs,
            gate=Gate(checks),
            endings=PolicyEndings(policies, memories),
            access_rules=self.access_rules,
            models=models,
            tools=tools,
            engine=self.engine or Detached(),
            workspaces=settings.data_dir / "workspaces",
        )
        self.launcher = Launcher(self.parts, timeout_s=settings.runs.timeout_s)
        self.approval_decided = Wakes(self.parts, master_key)
        observer = PolicyObserver(database, policies, memories)
        self.intake = Intake(database, self.parts.writer, observer, costs)

    async def _recent_calls(self, agent_id: str, since: datetime, limit: int) -> list[datetime]:
        async with self._database.read() as session:
            return list(await JournalReader(session).recent_model_calls(agent_id, since, limit))

    async def open(self, stack: AsyncExitStack) -> None:
        """Let others know that this process will work; the stack ends that and what comes later."""
        stack.push_async_callback(self.budgets.written)
        if self.engine is not None:
            stack.push_async_callback(self.engine.stop)
            await self.engine.enlist()

    async def begin(self, stack: AsyncExitStack) -> None:
        """Begin to work; the stack ends it."""
        if self.engine is None:
            return
        # No request needs it before a run does.
        from muster.domains.work.plans import PlanSegment

        self.parts.kinds["agent"] = AgentSegment
        self.parts.kinds.update(dict.fromkeys(PLAN_KINDS, PlanSegment))
        executor = RunExecutor(self.parts)
        self.engine.register(JOB_KIND, executor.handle, lost=executor.lost)
        await self.engine.start()
        if self._mode == "work":
            # It brings slices along that nobody has needed so far.
            from muster.entrypoints.working import begin_working

            begin_working(stack, self.parts, self.launcher, self._courier)
            in_background(stack, self._keep_house, "housekeeping")

    async def _keep_house(self) -> None:
        await repeat(self._tidy, every_s=_HOUSEKEEPING_S, name="housekeeping")

    async def _tidy(self) -> None:
        await forget_old(self._database)
        await self.budgets.sweep()
        await self.circuits.sweep()


def engine_options(settings: Settings, *, work: bool) -> EngineOptions:
    """Return the engine's options for a process with these settings."""
    runs = settings.runs
    return EngineOptions(
        system_database_url=settings.engine_database,
        concurrency=runs.concurrency,
        partition_concurrency=runs.project_concurrency,
        rate_limit=(runs.rate_limit, runs.rate_period_s) if runs.rate_limit else None,
        work=work,
        on_restart=settings.on_restart,
        lease_s=runs.lease_s,
    )
