"""The stored form of messages and replies."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from muster.adapters.models import (
    Message,
    ModelReply,
    Thinking,
    ToolCall,
    Usage,
    message_from_json,
    message_to_json,
    reply_from_json,
    reply_to_json,
)

json_values: Any = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)
objects: Any = some.dictionaries(some.text(), json_values, max_size=3)
maybe = some.none() | some.text()
calls = some.builds(
    ToolCall,
    id=some.text(),
    name=some.text(),
    arguments=objects,
    raw=maybe,
    provider=maybe,
    extra=some.none() | objects,
)
thoughts = some.builds(Thinking, content=some.text(), id=maybe, signature=maybe, provider=maybe)
counts = some.integers(min_value=0, max_value=10**9)
messages = some.builds(
    Message,
    role=some.sampled_from(["system", "user", "assistant", "tool"]),
    content=some.text(),
    tool_calls=some.lists(calls, max_size=3).map(tuple),
    thinking=some.lists(thoughts, max_size=3).map(tuple),
    tool_call_id=maybe,
    name=maybe,
)
replies = some.builds(
    ModelReply,
    content=some.text(),
    tool_calls=some.lists(calls, max_size=3).map(tuple),
    thinking=some.lists(thoughts, max_size=3).map(tuple),
    usage=some.builds(
        Usage,
        input_tokens=counts,
        output_tokens=counts,
        cached_tokens=counts,
        cache_write_tokens=counts,
        reasoning_tokens=counts,
    ),
    model=some.text(),
    provider=some.text(),
    finish_reason=some.text(),
    cost=some.none() | some.floats(min_value=0, allow_infinity=False),
)


@given(messages)
def test_messages_survive_storage(message: Message) -> None:
    assert message_from_json(json.loads(json.dumps(message_to_json(message)))) == message


@given(replies)
def test_replies_survive_storage(reply: ModelReply) -> None:
    assert reply_from_json(json.loads(json.dumps(reply_to_json(reply)))) == reply


def test_the_stored_form_stays_as_it_is() -> None:
    call = ToolCall(id="c1", name="add", arguments={"a": 1})
    message = Message(role="assistant", content="Adding.", tool_calls=(call,))

    assert message_to_json(message) == {
        "role": "assistant",
        "content": "Adding.",
        "tool_calls": [{"id": "c1", "name": "add", "arguments": {"a": 1}}],
    }
    assert reply_to_json(ModelReply(content="Hi.", model="m", provider="p")) == {
        "content": "Hi.",
        "usage": {
            "input_tokens": 0,
            "output_tokens": 0,
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "reasoning_tokens": 0,
        },
        "model": "m",
        "provider": "p",
        "finish_reason": "stop",
        "cost": None,
    }


def test_older_records_without_newer_fields_can_be_read() -> None:
    assert message_from_json({"role": "user", "content": None}) == Message(role="user")
    assert reply_from_json({"content": "Hi."}) == ModelReply(content="Hi.")
