"""Facts about the marketplace."""

from dataclasses import dataclass
from typing import ClassVar

from muster.platform.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketplaceInstalled(Event):
    type: ClassVar[str] = "marketplace.installed"
    subject: ClassVar[str] = "installation"
    installation_id: str
    template_id: str
    version: str
    model: str
    created: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketplaceUninstalled(Event):
    type: ClassVar[str] = "marketplace.uninstalled"
    subject: ClassVar[str] = "installation"
    installation_id: str
    template_id: str
    version: str
    removed: list[str]
    kept: list[str]
