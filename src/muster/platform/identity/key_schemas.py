"""Request and response bodies of API keys."""

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints, computed_field

from muster.kernel.schemas import In, RecordOut, UtcTime
from muster.platform.access import Scope
from muster.platform.identity.models import KeyKind


class ApiKeyCreate(In):
    name: Annotated[
        str, StringConstraints(min_length=1, max_length=120), Field(examples=["ci pipeline"])
    ]
    kind: Annotated[
        KeyKind | None,
        Field(
            description="`agent`: may register agents and nothing else. `user`: acts as you. "
            "Absent: agent under /auth, user under /security."
        ),
    ] = None
    scopes: Annotated[
        list[Scope] | None,
        Field(
            min_length=1,
            description="What a user key may do, at most what you may do; absent: all of that. "
            "It never does more than you may at the time of the call.",
            examples=[["runs:read", "runs:execute"]],
        ),
    ] = None
    project_id: Annotated[
        str | None,
        Field(max_length=64, description="The project it works in; absent: that of the request."),
    ] = None
    expires_at: Annotated[
        AwareDatetime | None, Field(description="When it stops working; absent: never.")
    ] = None


class ApiKeyOut(RecordOut):
    """A key. The key itself is never shown again."""

    name: str
    kind: KeyKind
    scopes: Annotated[list[Scope] | None, Field(description="Null: all that its user may do.")]
    project_id: str
    prefix: Annotated[str, Field(description="The first characters, to recognise it by.")]
    masked: str
    expires_at: UtcTime | None
    last_used_at: Annotated[UtcTime | None, Field(description="Exact to about a minute.")]
    is_revoked: bool
    revoked_at: UtcTime | None

    @computed_field(description="The same as `is_revoked`.")
    @property
    def revoked(self) -> bool:
        return self.is_revoked


class NewApiKeyOut(ApiKeyOut):
    """The new key, in plain text this once."""

    key: Annotated[str, Field(examples=["mst_agent_..."])]

    @computed_field(description="The same as `key`.")
    @property
    def api_key(self) -> str:
        return self.key
