"""Language models of every provider, spoken to in one shape."""

from muster.adapters.models.base import (
    ChatModel,
    Message,
    ModelFailed,
    ModelReply,
    ModelRequest,
    ModelTimeout,
    ModelUnsupported,
    OutputUnfit,
    StreamEvent,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolSpec,
    Usage,
    estimated_tokens,
)
from muster.adapters.models.discovery import list_models
from muster.adapters.models.families import FAMILIES, build
from muster.adapters.models.family import Family, ProviderConfig
from muster.adapters.models.pricing import Price, PriceTable, price, published_price
from muster.adapters.models.retries import RetryPolicy
from muster.adapters.models.serialization import (
    message_from_json,
    message_to_json,
    reply_from_json,
    reply_to_json,
)

__all__ = [
    "FAMILIES",
    "ChatModel",
    "Family",
    "Message",
    "ModelFailed",
    "ModelReply",
    "ModelRequest",
    "ModelTimeout",
    "ModelUnsupported",
    "OutputUnfit",
    "Price",
    "PriceTable",
    "ProviderConfig",
    "RetryPolicy",
    "StreamEvent",
    "TextDelta",
    "Thinking",
    "ThinkingDelta",
    "ToolCall",
    "ToolSpec",
    "Usage",
    "build",
    "estimated_tokens",
    "list_models",
    "message_from_json",
    "message_to_json",
    "price",
    "published_price",
    "reply_from_json",
    "reply_to_json",
]
