"""The table of actions."""

from typing import Any

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord


class Action(ProjectRecord):
    """What is done when an incident fits `criteria`. `config` is what may be shown of how it is
    done; addresses that carry secrets, headers and signing secrets are in the vault.
    """

    __tablename__ = "actions"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))
    enabled: Mapped[bool] = mapped_column(default=True)
    criteria: Mapped[dict[str, Any]] = mapped_column(Json)
    config: Mapped[dict[str, Any]] = mapped_column(Json)

    @property
    def vault_name(self) -> str:
        """Name of what the vault keeps for it."""
        return f"action.{self.id}"
