"""Facts about the marketplace."""

from typing import ClassVar

from muster.platform.events import Event


class MarketplaceInstalled(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "marketplace.installed"
    subject: ClassVar[str] = "installation"
    installation_id: str
    template_id: str
    version: str
    model: str
    created: list[str]


class MarketplaceUninstalled(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "marketplace.uninstalled"
    subject: ClassVar[str] = "installation"
    installation_id: str
    template_id: str
    version: str
    removed: list[str]
    kept: list[str]
