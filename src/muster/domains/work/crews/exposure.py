"""Secrets that stand in definitions, which are given back as they were sent."""

from collections.abc import Iterator, Mapping
from typing import Any

from muster.domains.catalogue.tools import seal_configuration
from muster.domains.work.crews.definitions import Definitions
from muster.domains.work.plans import PlanProblem
from muster.kernel.errors import AppError


def exposed_secrets(read: Definitions) -> list[PlanProblem]:
    """Return a warning for each configuration of a tool that holds a secret in the clear."""
    return [
        PlanProblem(
            path=f"{owner}.tool_configs.{tool}",
            message=f"The configuration of {tool[:100]} holds a secret that everybody can read who "
            'can read the crew. Store it with POST /api-keys and name it as {"$secret": "name"}.',
            line=read.places.get((*owner.split(".", 1), "tool_configs")),
            severity="warning",
        )
        for owner, configs in _configured(read)
        for tool, config in configs.items()
        if _holds_secret(config)
    ]


def _configured(read: Definitions) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for member in read.agents:
        if member.definition is not None:
            yield f"agents.{member.key}", member.definition.tool_configs
    for task in read.tasks:
        yield f"tasks.{task.key}", task.tool_configs


def _holds_secret(config: Mapping[str, Any]) -> bool:
    try:
        return bool(seal_configuration(config, "")[1])
    except AppError:
        return True  # it stands in an address
