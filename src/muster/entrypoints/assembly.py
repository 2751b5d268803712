"""Putting the parts together: one object that holds what lives as long as the process."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from muster import __version__
from muster.entrypoints.routers import ROUTERS
from muster.kernel.crypto import MasterKey
from muster.kernel.db import Database
from muster.kernel.egress import Egress, EgressPolicy
from muster.kernel.http import App
from muster.kernel.live import LiveBus
from muster.kernel.settings import Settings
from muster.platform.access import identify
from muster.platform.identity import Credentials
from muster.platform.projects import authenticate
from muster.platform.vault import Vault, check_master_key


class Muster:
    """The product, assembled. An async context manager: inside it everything runs.

    Args:
        settings: Settings of the process.
        execute: Whether this process executes runs.
    """

    def __init__(self, settings: Settings, *, execute: bool) -> None:
        settings.refuse_unsafe()
        self.settings, self.execute = settings, execute
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
        self.app = self._make_app()
        self._stack = AsyncExitStack()

    def _make_app(self) -> App:
        app = App(
            docs=self.settings.docs_enabled,
            cors_origins=self.settings.cors_origins,
            title="Muster",
            version=__version__,
        )
        for router in ROUTERS:
            app.mount_router(router)
        app.state.settings = self.settings
        app.state.master_key = self.master_key
        app.state.database = self.database
        app.state.live = self.live
        app.state.egress = self.egress
        app.state.vault = self.vault
        app.state.credentials = self.credentials
        app.state.authenticate = authenticate
        app.state.identify = identify
        return app

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self.database.dispose)
        self._stack.push_async_callback(self.credentials.key_usage.aclose)
        self._stack.push_async_callback(self.egress.aclose)
        await check_master_key(self.database, self.master_key)
        await self.live.start()
        self._stack.push_async_callback(self.live.stop)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
