"""Tables of what was installed from the marketplace."""

from typing import Any

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from muster.kernel.db import Json, ProjectRecord


class Installation(ProjectRecord):
    """A bundle that is installed in a project.

    `created` lists what it has made, each with kind, id, name, what else of the bundle it uses, and
    a fingerprint of what it said then, which tells whether people have changed it since.
    """

    __tablename__ = "installations"
    __table_args__ = (
        UniqueConstraint("project_id", "bundle_id", name="uq_installations_project_id_bundle_id"),
    )

    bundle_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(255))
    prefix: Mapped[str | None] = mapped_column(String(40))
    parameters: Mapped[dict[str, Any]] = mapped_column(Json)
    created: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    installed_by_id: Mapped[str] = mapped_column(String(64))
    installed_by_name: Mapped[str] = mapped_column(String(255))
