"""Tables of prompt templates."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel import clock
from muster.kernel.db import Base, Json, ProjectRecord, UTCDateTime


class PromptTemplate(ProjectRecord):
    """A prompt template as it is now.

    `variables` are those that somebody declared; null where they are read from the text.
    """

    __tablename__ = "prompt_templates"
    __table_args__ = (
        UniqueConstraint("project_id", "name", name="uq_prompt_templates_project_id_name"),
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    template: Mapped[str] = mapped_column(Text)
    variables: Mapped[list[str] | None] = mapped_column(Json)
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)


class PromptTemplateVersion(Base):
    """One state of a prompt template. Rows are only ever inserted."""

    __tablename__ = "prompt_template_versions"

    template_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("prompt_templates.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[dict[str, Any]] = mapped_column(Json)
    note: Mapped[str | None] = mapped_column(String(255))
    created_by_id: Mapped[str] = mapped_column(String(64))
    created_by_name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
