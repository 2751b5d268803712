"""What is kept of a step: in its record, and in the metrics."""

from typing import Any

from muster.adapters.models import ModelReply, ModelTimeout, reply_to_json
from muster.domains.catalogue.models import CallableModel
from muster.domains.work.journal import NewStep
from muster.kernel import metrics
from muster.kernel.errors import AppError


def take_in(record: NewStep, reply: ModelReply) -> None:
    """Put what a model said, and what that took, into the record of its step."""
    usage = reply.usage
    record.output = reply_to_json(reply)
    record.input_tokens, record.output_tokens = usage.input_tokens, usage.output_tokens
    record.cached_tokens, record.reasoning_tokens = usage.cached_tokens, usage.reasoning_tokens
    record.cost = reply.cost
    record.properties = {**(record.properties or {}), "finish_reason": reply.finish_reason}


def failed(error: AppError) -> dict[str, Any]:
    """Return an error as the journal keeps it."""
    retryable = getattr(error, "retryable", isinstance(error, ModelTimeout))
    return {"code": error.code, "message": error.detail, "retryable": bool(retryable)}


def count_tokens(model: CallableModel, reply: ModelReply) -> None:
    """Count the tokens and the cost of a reply in the metrics."""
    labels = (model.provider, model.name)
    metrics.MODEL_TOKENS.labels(*labels, "input").inc(reply.usage.input_tokens)
    metrics.MODEL_TOKENS.labels(*labels, "output").inc(reply.usage.output_tokens)
    if reply.cost:
        metrics.MODEL_COST.labels(*labels).inc(reply.cost)
