"""The other side of a step: what a call may cost, what guards it, and whether it was there."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from muster.adapters.models import (
    ModelFailed,
    ModelRequest,
    ModelTimeout,
    OutputUnfit,
    Usage,
    estimated_tokens,
)
from muster.adapters.tools.base import ToolOutcome, ToolUnreachable
from muster.domains.catalogue.models import CallableModel
from muster.domains.catalogue.tools import BoundTool
from muster.kernel.egress import EgressFailed
from muster.kernel.errors import AppError, UpstreamTimeout

ASSUMED_OUTPUT_TOKENS = 1_024
"""How long an answer is taken to be whose request sets no `max_tokens`."""

_REMOTE_KINDS = frozenset({"http", "custom", "openapi", "mcp"})
_REMOTE_BUILTINS = frozenset({"web_search"})
_ANY_HOST = frozenset({"fetch_page"})
_OVERLOADED = frozenset({408, 425, 429})
_SERVER_ERROR = 500
_FAIR_TIME_S = 5.0


def estimated_cost(model: CallableModel, request: ModelRequest) -> float | None:
    """Return about what a call costs in US dollars at most, None where nobody knows the price."""
    if model.price is None:
        return None
    limit = request.settings.get("max_tokens")
    output = limit if isinstance(limit, int) else ASSUMED_OUTPUT_TOKENS
    usage = Usage(input_tokens=estimated_tokens(request), output_tokens=output)
    return model.price.cost(usage)


def breaker_of_model(model: CallableModel) -> str | None:
    """Return the name of the circuit breaker in front of a model.

    A project's own models have their own: what breaks one says nothing about the operator's
    provider, and must not close it to other projects.
    """
    if model.is_local:
        return None
    return f"provider:{model.provider}" if model.is_shared else f"model:{model.name}"


def breaker_of_tool(tool: BoundTool, arguments: Mapping[str, Any]) -> str | None:
    """Return the name of the circuit breaker in front of a tool, None where nobody else is asked.

    A tool that goes wherever the model says has one for each host.
    """
    if tool.kind in _REMOTE_KINDS or tool.name in _REMOTE_BUILTINS:
        return f"tool:{tool.name}"
    if tool.name in _ANY_HOST:
        try:
            host = urlsplit(str(arguments.get("url", ""))).hostname
        except ValueError:
            return None
        return f"host:{host}" if host else None
    return None


def model_answered(error: AppError, request: ModelRequest) -> bool | None:
    """Tell whether a failed call says that the model's provider was there, was not, or neither.

    A request that gave it no fair time says nothing: else anybody could close the operator's
    provider to all projects.
    """
    if isinstance(error, OutputUnfit):
        return True
    if isinstance(error, ModelFailed):
        return False if error.retryable else None
    if isinstance(error, ModelTimeout):
        given = request.settings.get("timeout")
        return None if isinstance(given, int | float) and given < _FAIR_TIME_S else False
    return None


def tool_answered(error: AppError) -> bool | None:
    """Tell whether a failed call says that what a tool asks was not there."""
    return False if isinstance(error, UpstreamTimeout | ToolUnreachable | EgressFailed) else None


def outcome_answered(outcome: ToolOutcome) -> bool | None:
    """Tell whether an answer came from an able other side; "not found" is an answer too."""
    status = outcome.properties.get("status")
    if isinstance(status, int):
        return not (status >= _SERVER_ERROR or status in _OVERLOADED)
    return None if outcome.is_error else True
