"""Putting the parts together: one object that holds what lives as long as the process."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from types import TracebackType
from typing import Self

from muster import __version__
from muster.adapters.tools.mcp import McpPool
from muster.domains.catalogue.memories import memory_acts
from muster.domains.catalogue.models import (
    Environment,
    ModelCatalogue,
    providers_from_environment,
)
from muster.domains.catalogue.tools import Call, ToolCatalogue, ToolServices
from muster.domains.control.actions import SOURCE_KIND, ActionDelivery, IncidentWatcher
from muster.domains.control.incidents import HEARD_BY
from muster.domains.control.policies import policies_named
from muster.domains.insight.reports import JOB_KIND, ReportDispatcher, ReportMaker
from muster.domains.work.dead_letters import bury_failed
from muster.domains.work.launching import follow_task, tasks_of
from muster.domains.work.runs import FOLLOWERS, RunFollower
from muster.entrypoints.generating import GeneratingModels
from muster.entrypoints.reporting import report_parts
from muster.entrypoints.routers import ROUTERS
from muster.entrypoints.running import EngineMode, Running
from muster.kernel.background import in_background
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.kernel.egress import Egress, EgressPolicy
from muster.kernel.http import App
from muster.kernel.live import LiveBus
from muster.kernel.settings import Providers, Settings
from muster.platform.access import identify
from muster.platform.audit.service import AuditLog
from muster.platform.deliveries import Courier
from muster.platform.events import EventTail
from muster.platform.identity import Credentials
from muster.platform.projects import authenticate
from muster.platform.system import Health
from muster.platform.vault import Vault, check_master_key


def bare_app(*, docs: bool = True, cors_origins: Sequence[str] = ()) -> App:
    """Return the application with nothing behind its routes; its document needs no more."""
    app = App(docs=docs, cors_origins=list(cors_origins), title="Muster", version=__version__)
    app.mount_when_asked(ROUTERS)
    return app


class Muster:
    """The product, assembled. An async context manager: inside it everything runs.

    Args:
        settings: Settings of the process.
        engine: Whether this process executes runs ("work"), only gives them to the processes that
            do ("submit"), or does neither ("off").
    """

    def __init__(self, settings: Settings, *, engine: EngineMode) -> None:
        settings.refuse_unsafe()
        self.settings = settings
        self._engine_mode = engine
        self.master_key = MasterKey.load(
            settings.master_key.get_secret_value() if settings.master_key else None,
            settings.data_dir / "master.key",
        )
        self.database = Database(settings.database, pool_size=settings.database_pool_size)
        self.live = LiveBus(self.database)
        self.database.info["live"] = self.live
        self.egress = Egress(EgressPolicy(settings.egress_allow))
        self.credentials = Credentials(self.settings, self.master_key, self.database)
        self.vault = Vault(self.database, self.master_key)
        environment = Environment(providers_from_environment(Providers()), settings.runtime_profile)
        self.models = ModelCatalogue(self.database, self.egress, self.vault, environment)
        self.mcp = McpPool(self.egress)
        self.tools = ToolCatalogue(self._tool_services())
        self.courier = Courier(self.database, self.live, settings.deliveries)
        self.running = Running(
            settings,
            engine,
            database=self.database,
            live=self.live,
            models=self.models,
            tools=self.tools,
            courier=self.courier,
            master_key=self.master_key,
        )
        self.database.info[FOLLOWERS] = (follow_task, bury_failed)
        self.launcher = self.running.launcher
        self.action_delivery = self._deliver_for_actions()
        self.event_tail = EventTail(self.database, self.live)
        self.audit = AuditLog(self.database, self.master_key)
        self.report_parts = report_parts(
            settings.data_dir, self.database, self.running.parts, self.audit
        )
        self.report_dispatcher = ReportDispatcher(self.report_parts)
        if self.running.engine is not None:
            maker = ReportMaker(self.report_parts)
            self.running.engine.register(JOB_KIND, maker.handle, lost=maker.lost)
        self.health = Health(self.database, settings.data_dir, self.running.engine)
        self.app = self._make_app()

    def _deliver_for_actions(self) -> ActionDelivery:
        delivery = ActionDelivery(
            self.settings,
            database=self.database,
            egress=self.egress,
            master_key=self.master_key,
            circuits=self.running.circuits,
        )
        self.courier.register(SOURCE_KIND, delivery)
        self.database.info[HEARD_BY] = IncidentWatcher(
            self.database, self.live, self.courier, self.settings.public_url
        )
        return delivery

    def _tool_services(self) -> ToolServices:
        tools = self.settings.tools
        return ToolServices(
            database=self.database,
            egress=self.egress,
            mcp=self.mcp,
            read_secret=self.vault.value,
            documents=self.settings.data_dir / "documents",
            workspace_bytes=self.settings.runs.workspace_mb * 2**20,
            searxng_url=tools.searxng_url,
            default_timeout_s=tools.timeout_s,
            mcp_stdio=tools.mcp_stdio == "admins",
            acts=cache(self._acts),
        )

    def _acts(self) -> dict[str, Call]:
        # No start is to wait for these slices.
        from muster.domains.dialogue.collaboration import collaboration_acts
        from muster.domains.dialogue.mailbox import mailbox_acts
        from muster.domains.dialogue.reviews import review_acts

        return {
            **memory_acts(self.database),
            **mailbox_acts(self.database),
            **collaboration_acts(self.database),
            **review_acts(self.database),
        }

    def _make_app(self) -> App:
        app = bare_app(docs=self.settings.docs_enabled, cors_origins=self.settings.cors_origins)
        app.state.settings = self.settings
        app.state.master_key = self.master_key
        app.state.database = self.database
        app.state.live = self.live
        app.state.egress = self.egress
        app.state.vault = self.vault
        app.state.models = self.models
        app.state.tools = self.tools
        app.state.stored_tasks = tasks_of
        app.state.credentials = self.credentials
        app.state.run_parts = self.running.parts
        app.state.launcher = self.launcher
        app.state.approval_decided = self.running.approval_decided
        app.state.access_rules = self.running.access_rules
        app.state.bare_calls = self.running.bare_calls
        app.state.generating_models = GeneratingModels(
            self.models, self.database, self.running.bare_calls
        )
        app.state.cost_journal = self.running.cost_journal
        app.state.intake = self.running.intake
        app.state.evaluator = self.running.evaluator
        app.state.registration_judge = self.running.registration_judge
        app.state.find_policies = policies_named
        app.state.dry_runs = self.running.dry_runs
        app.state.courier = self.courier
        app.state.action_delivery = self.action_delivery
        app.state.event_tail = self.event_tail
        app.state.follow_run = RunFollower(self.database, self.live, self.running.parts.blobs)
        app.state.audit = self.audit
        app.state.report_parts = self.report_parts
        app.state.health = self.health
        app.state.authenticate = authenticate
        app.state.identify = identify
        return app

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Self]:
        """Be there for requests; what works beside them does so after `begin`.

        A request that gives something to the engine waits for it.
        """
        async with AsyncExitStack() as stack:
            self._stack = stack
            stack.push_async_callback(self.database.dispose)
            stack.push_async_callback(self.credentials.key_usage.aclose)
            stack.push_async_callback(self.egress.aclose)
            stack.push_async_callback(self.mcp.aclose)
            await check_master_key(self.database, self.master_key)
            await self.live.start()
            stack.push_async_callback(self.live.stop)
            stack.push_async_callback(self.event_tail.stop)
            stack.push_async_callback(self.health.close)
            await self.running.open(stack)
            yield self

    async def begin(self) -> None:
        """Begin to work beside the requests, until this is closed."""
        if self._engine_mode != "off":
            in_background(self._stack, self.audit.run, "audit-checkpoints")
        await self.running.begin(self._stack)
        if self._engine_mode == "work":
            in_background(self._stack, self.report_dispatcher.run, "report-dispatcher")

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.opened())
            await self.begin()
            # What was begun stays until the end; had anything failed, it would be undone.
            self._entered = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._entered.aclose()
