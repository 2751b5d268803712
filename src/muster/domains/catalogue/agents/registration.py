"""What an agent that runs elsewhere tells of itself when it registers."""

from typing import Any

from muster.domains.catalogue.agents.schemas import AgentCreate
from muster.domains.catalogue.agents.spec import EXTERNAL
from muster.kernel.errors import FieldError, Invalid

_TOLD = frozenset(
    {
        "name",
        "description",
        "purpose",
        "owner_id",
        "maintainer_id",
        "risk_classification",
        "environment",
        "declared_tools",
        "metadata",
    }
)
_READ = _TOLD | {"key", "kind", "store_metadata"}


def registration(body: AgentCreate) -> tuple[str, dict[str, Any]]:
    """Return the key of an agent that registers, and the fields it tells.

    What is absent or null is not told: it has its default in a new agent, and keeps in a known one
    the value that a person may have given it. Raises `Invalid` without a key, and for fields that
    mean something only in an agent that is run here.
    """
    foreign = sorted(body.model_fields_set - _READ)
    if "kind" in body.model_fields_set and body.kind != EXTERNAL:
        foreign.append("kind")
    errors = [
        FieldError(name, "An agent that registers runs elsewhere; leave this out.")
        for name in foreign
    ]
    if body.key is None:
        errors.append(FieldError("agent_key", "Give the stable key of the agent."))
    if errors or body.key is None:
        text = "; ".join(f"{error.field}: {error.message}" for error in errors[:5])
        raise Invalid(text, errors=errors)
    told = body.model_dump(mode="json", include=set(_TOLD & body.model_fields_set))
    given = {name: value for name, value in told.items() if value is not None}
    if body.store_metadata is False:
        given["metadata"] = {}
    return body.key, given
