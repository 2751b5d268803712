"""Reading the bodies of the logging operations."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from muster.domains.catalogue.agents import slug
from muster.domains.work.logs.errors import UnsupportedWireVersion
from muster.domains.work.logs.intake import Batch
from muster.domains.work.logs.translation import read_step, refused
from muster.kernel.errors import Invalid

ENTRA_NAME = "x-ms-entra-agent-name"
WIRE_VERSION = "x-kyvvu-wire-version"

_MOST_STEPS = 1000
_LONGEST_ID = 255
_OF_CONVERSATION = frozenset({"conversation_id", ENTRA_NAME, "agent_metadata"})


@dataclass(frozen=True, slots=True)
class Turn:
    """A node of a conversation, and who has it."""

    agent_key: str
    agent_name: str
    agent_metadata: dict[str, Any]
    batch: Batch


def check_wire_version(version: str | None) -> None:
    """Raise `UnsupportedWireVersion` for a version other than the one there is."""
    if version is not None and version.strip() != "1":
        raise UnsupportedWireVersion(
            "This server understands version 1 of the wire format; update it, or send version 1."
        )


def one_step(body: Any) -> tuple[str, Batch]:
    """Return the agent and the one step of a body."""
    fields = _object(body)
    agent_id = _id(fields, "agent_id")
    return agent_id, Batch(_id(fields, "task_id"), [read_step(fields, agent_id)])


def many_steps(body: Any) -> tuple[str, Batch]:
    """Return the agent and the steps of a body."""
    fields = _object(body)
    agent_id, task_id = _id(fields, "agent_id"), _id(fields, "task_id")
    steps = fields.get("steps")
    if not isinstance(steps, list):
        raise refused("steps", "must be a list of steps")
    given = cast("list[Any]", steps)
    if not 1 <= len(given) <= _MOST_STEPS:
        raise refused("steps", f"must have 1 to {_MOST_STEPS} steps; send more in several batches")
    read = [_step(raw, number, agent_id, task_id) for number, raw in enumerate(given)]
    return agent_id, Batch(task_id, read)


def _step(raw: Any, number: int, agent_id: str, task_id: str) -> Any:
    place = f"steps.{number}."
    read = read_step(raw, agent_id, place)
    for name, own, whole in (
        ("agent_id", read.normal.agent_id, agent_id),
        ("task_id", read.normal.task_id, task_id),
    ):
        if own is not None and own != whole:
            raise refused(f"{place}{name}", "differs from that of the batch")
    return read


def one_node(body: Any, headers: Mapping[str, str]) -> Turn:
    """Return the node of a conversation that a body tells of."""
    fields = _object(body)
    name = fields.get(ENTRA_NAME) or _text_of(headers.get(ENTRA_NAME))
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= _LONGEST_ID:
        raise refused(ENTRA_NAME, "must be the name of the agent, in the body or as a header")
    name = name.strip()
    if not isinstance(fields.get("node_type"), str):
        raise refused("node_type", "must be a string")
    metadata = fields.get("agent_metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise refused("agent_metadata", "must be an object")
    task_id = _id(fields, "conversation_id")
    step = {key: value for key, value in fields.items() if key not in _OF_CONVERSATION}
    return Turn(
        agent_key=key_of(name),
        agent_name=name,
        agent_metadata=cast("dict[str, Any]", metadata or {}),
        batch=Batch(task_id, [read_step(step, "")]),
    )


def _text_of(header: str | None) -> str | None:
    """Return a header as it was meant: headers are read as Latin-1, and clients write UTF-8."""
    try:
        return header and header.encode("latin-1").decode()
    except UnicodeError:
        return header


def key_of(name: str) -> str:
    """Return the key of an agent that is known by its name alone; other names, other keys."""
    key = slug(name)
    if name.casefold().replace(" ", "-") == key:
        return key
    return f"{key}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Invalid("The body must be a JSON object.")
    return cast("dict[str, Any]", body)


def _id(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_ID:
        raise refused(name, f"must be a text of 1 to {_LONGEST_ID} characters")
    return value
