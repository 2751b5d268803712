"""Bodies of the logging operations as the API's document shows them.

They are read without a model: a log is written for every step of every agent, and most of a step is
free-form. What is checked is what stands here, and the vocabularies.
"""

from typing import Any

_NULL = {"type": "null"}
_WIRE = {
    "name": "X-Kyvvu-Wire-Version",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "const": "1"},
    "description": "Version of the wire format, where the client names one.",
}


def _maybe(kind: str, description: str, **more: Any) -> dict[str, Any]:
    return {"anyOf": [{"type": kind, **more}, _NULL], "description": description}


_STEP: dict[str, Any] = {
    "kind": _maybe("string", "Kind of the step, such as step.model or task.end."),
    "verb": _maybe("string", "GET, POST, PATCH or DELETE, for the kinds that take one."),
    "step_type": _maybe("string", "The kind in another vocabulary, with `scope`."),
    "scope": _maybe("string", "task or step, with `step_type`."),
    "node_type": _maybe("string", "The kind in a third vocabulary, such as LLM_CALL or END_NODE."),
    "step_name": _maybe("string", "Name of the step."),
    "node_name": _maybe("string", "Another name of `step_name`."),
    "input": {"description": "What went into the step: any JSON."},
    "output": {"description": "What came out of it: any JSON."},
    "input_data": {"description": "Another name of `input`."},
    "output_data": {"description": "Another name of `output`."},
    "properties": _maybe(
        "object", "Whatever describes the step; `usage`, `model` and `cost` are understood."
    ),
    "meta": _maybe("object", "Whatever else is to be kept."),
    "status": _maybe("string", "How it went, such as ok, blocked or failed."),
    "timestamp": _maybe("string", "When the step ended, ISO 8601; without a zone it is UTC."),
    "duration_ms": _maybe("number", "How long it took, in milliseconds.", minimum=0),
}
_TASK: dict[str, Any] = {
    "agent_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "description": "Id of the agent, as its registration has answered it.",
    },
    "task_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "description": "The caller's own id of the task; its first step begins it.",
    },
}
_NODE: dict[str, Any] = {
    "conversation_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "description": "Id of the conversation; it is the id of the task.",
    },
    "node_type": {
        "type": "string",
        "description": "Kind of the node; START_NODE opens the conversation, END_NODE closes it.",
    },
    "node_name": _maybe("string", "Name of the node."),
    "x-ms-entra-agent-name": _maybe(
        "string",
        "Name of the agent; may also be sent as a header of this name.",
        minLength=1,
        maxLength=255,
    ),
    "input_data": {"description": "What went into the node: any JSON."},
    "output_data": {"description": "What came out of it: any JSON."},
    "agent_metadata": _maybe("object", "Kept with the agent when its first node registers it."),
}


def _extra(body: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object", **body}}}
    described: dict[str, Any] = {"requestBody": {"required": True, "content": content}}
    return described | ({"parameters": list(parameters)} if parameters else {})


ONE_STEP = _extra(
    {
        "title": "LogStep",
        "required": ["agent_id", "task_id"],
        "properties": _TASK | _STEP,
        "examples": [
            {
                "agent_id": "0198d1c0-0000-7000-8000-000000000000",
                "task_id": "invoice-4711",
                "kind": "step.model",
                "step_name": "Read the invoice",
                "properties": {
                    "model": "openai/gpt-4o",
                    "usage": {"input_tokens": 1200, "output_tokens": 80},
                },
                "input": {"document": "invoice.pdf"},
                "output": {"total": 128.5},
                "duration_ms": 850,
            }
        ],
    },
    _WIRE,
)
MANY_STEPS = _extra(
    {
        "title": "LogBatch",
        "required": ["agent_id", "task_id", "steps"],
        "properties": _TASK
        | {
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1000,
                "items": {"type": "object", "properties": _STEP},
                "description": "Steps in order; only the last may be task.end.",
            }
        },
        "examples": [
            {
                "agent_id": "0198d1c0-0000-7000-8000-000000000000",
                "task_id": "invoice-4711",
                "steps": [
                    {"kind": "task.start", "step_name": "Invoice"},
                    {"kind": "step.resource", "verb": "GET", "step_name": "Fetch the order"},
                    {"kind": "task.end"},
                ],
            }
        ],
    },
    _WIRE,
)
ONE_NODE = _extra(
    {
        "title": "ConversationNode",
        "required": ["conversation_id", "node_type"],
        "properties": _NODE,
        "examples": [
            {
                "conversation_id": "c-1",
                "node_type": "START_NODE",
                "node_name": "Greeting",
                "x-ms-entra-agent-name": "Help desk",
            }
        ],
    },
    _WIRE,
)
