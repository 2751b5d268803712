"""Table of the models that a project set up itself."""

from typing import Any

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord


class Model(ProjectRecord):
    """A model of a provider under a name of the project's. Prices are US dollars per million."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    name: Mapped[str] = mapped_column(String(200))
    provider: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(200))
    api_key_name: Mapped[str | None] = mapped_column(String(255), default=None)
    base_url: Mapped[str | None] = mapped_column(String(2000), default=None)
    parameters: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    context_window: Mapped[int | None] = mapped_column(default=None)
    max_output_tokens: Mapped[int | None] = mapped_column(default=None)
    input_price: Mapped[float | None] = mapped_column(default=None)
    output_price: Mapped[float | None] = mapped_column(default=None)
    cached_price: Mapped[float | None] = mapped_column(default=None)
    enabled: Mapped[bool] = mapped_column(default=True)
    description: Mapped[str | None] = mapped_column(String(2000), default=None)
