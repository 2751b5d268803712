"""Metrics in the Prometheus text format."""

from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

__all__ = [
    "CONTENT_TYPE_LATEST",
    "HTTP_DURATION",
    "HTTP_IN_FLIGHT",
    "HTTP_REQUESTS",
    "MODEL_CALLS",
    "MODEL_COST",
    "MODEL_TOKENS",
    "RUNS_ACTIVE",
    "RUNS_FINISHED",
    "STEPS",
    "TOOL_CALLS",
    "of_requests",
    "of_steps",
    "render",
]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

HTTP_REQUESTS = Counter(
    "muster_http_requests_total", "Requests answered.", ["method", "route", "status"]
)
HTTP_DURATION = Histogram(
    "muster_http_request_duration_seconds", "Time to answer.", ["method", "route"], buckets=_SECONDS
)
HTTP_IN_FLIGHT = Gauge("muster_http_requests_in_flight", "Requests being answered.")
RUNS_ACTIVE = Gauge("muster_runs_active", "Runs that this process executes now.")
RUNS_FINISHED = Counter("muster_runs_finished_total", "Runs that ended, by status.", ["status"])
STEPS = Counter("muster_steps_total", "Steps appended to the journal.", ["kind", "status"])
MODEL_CALLS = Counter(
    "muster_model_calls_total", "Calls of models.", ["provider", "model", "status"]
)
MODEL_TOKENS = Counter("muster_model_tokens_total", "Tokens.", ["provider", "model", "direction"])
MODEL_COST = Counter(
    "muster_model_cost_usd_total", "Known cost in US dollars.", ["provider", "model"]
)
TOOL_CALLS = Counter("muster_tool_calls_total", "Calls of tools.", ["kind", "status"])


@cache
def of_requests(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Return what counts such requests; to look it up costs several times what counting does."""
    return HTTP_REQUESTS.labels(method, route, str(status)), HTTP_DURATION.labels(method, route)


@cache
def of_steps(kind: str, status: str) -> Counter:
    """Return what counts such steps."""
    return STEPS.labels(kind, status)


def render() -> bytes:
    """Return all metrics of this process."""
    return generate_latest(REGISTRY)
