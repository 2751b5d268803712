"""The built-in model as a chat model: answers by a schema, and whatever input it gets."""

import json
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from muster.adapters.models.base import (
    Message,
    ModelFailed,
    ModelRequest,
    ToolCall,
)
from muster.adapters.models.extractive.model import reply_to
from tests.adapters.models.asking import LEAGUE, after, ask
from tests.adapters.models.document_desk import DESK

pytestmark = pytest.mark.anyio


class TestStructuredOutput:
    SCHEMA: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "answer": {"type": "string"},
            "towns": {"type": "integer"},
            "year_of_last_assembly": {"type": "integer", "minimum": 1500, "maximum": 1700},
            "goods": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
            "mood": {"enum": ["glad", "sad"]},
            "standing_army": {"type": "boolean"},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "contact": {"type": "string", "format": "email"},
            "page": {"type": "string", "format": "uri"},
            "sources": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["answer", "towns", "mood", "goods"],
        "additionalProperties": False,
    }

    def test_fields_are_filled_from_the_text(self) -> None:
        prompt = f"{LEAGUE}\n\nHow many towns belonged to the league?"
        reply = ask(prompt, output_schema=self.SCHEMA)
        value = json.loads(reply.content)
        Draft202012Validator(self.SCHEMA).validate(value)
        assert value["towns"] == 200
        assert value["year_of_last_assembly"] == 1669
        assert value["standing_army"] is False
        assert value["contact"] == "archive@league.example"
        assert value["sources"] == ["your message"]
        assert "page" not in value
        assert "200 towns" in value["answer"]
        assert "[1]" not in value["answer"]
        assert reply.model == "builtin/extractive"

    @pytest.mark.parametrize(
        "schema",
        [
            SCHEMA,
            {"type": "object"},
            {"type": "object", "properties": {"a": {}, "b": True}, "required": ["a", "b", "c"]},
            {"type": "object", "properties": {"n": {"type": "number", "exclusiveMinimum": 0}}},
            {"type": "object", "properties": {"n": {"type": "integer", "exclusiveMaximum": -4}}},
            {
                "type": "object",
                "properties": {"n": {"type": "integer", "multipleOf": 7, "minimum": 10}},
                "required": ["n"],
            },
            {
                "type": "object",
                "properties": {
                    "s": {"type": "string", "minLength": 30, "maxLength": 40},
                    "t": {"type": "string", "maxLength": 3},
                    "d": {"type": "string", "format": "date"},
                    "x": {"type": "null"},
                    "u": {"type": ["string", "null"], "default": "new"},
                },
                "required": ["s", "t", "d", "x", "u"],
            },
            {
                "type": "object",
                "properties": {
                    "tags": {
                        "type": "array",
                        "items": {"enum": ["a", "b", "c"]},
                        "minItems": 3,
                        "uniqueItems": True,
                    },
                    "numbers": {
                        "type": "array",
                        "items": {"type": "integer"},
                        "minItems": 3,
                        "uniqueItems": True,
                    },
                    "names": {
                        "type": "array",
                        "items": {"type": "string", "maxLength": 12},
                        "minItems": 4,
                        "uniqueItems": True,
                    },
                    "flags": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
                },
                "required": ["tags", "numbers", "names", "flags"],
            },
            {
                "$defs": {
                    "node": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string"},
                            "child": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                            "others": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                        },
                        "required": ["name", "child"],
                    }
                },
                "$ref": "#/$defs/node",
            },
            {
                "type": "object",
                "allOf": [
                    {"properties": {"a": {"const": 5}}, "required": ["a"]},
                    {"properties": {"b": {"type": "string"}}, "required": ["b"]},
                ],
            },
            {
                "type": "object",
                "properties": {"code": {"type": "string", "pattern": "^[A-Z]-\\d+$"}},
                "maxProperties": 0,
            },
        ],
    )
    @pytest.mark.parametrize("question", [f"{LEAGUE}\n\nWho traded fish?", "Who traded fish?"])
    def test_any_schema_is_met(self, schema: dict[str, Any], question: str) -> None:
        first = ask(question, output_schema=schema).content
        Draft202012Validator(schema).validate(json.loads(first))
        assert ask(question, output_schema=schema).content == first

    def test_patterns_are_looked_for(self) -> None:
        schema = {
            "type": "object",
            "properties": {"article": {"type": "string", "pattern": "^HF-\\d+$"}},
            "required": ["article"],
        }
        prompt = "Context:\nThe hub (HF-22) is new.\n\nQuestion: Which hub is new?"
        assert json.loads(ask(prompt, output_schema=schema).content) == {"article": "HF-22"}
        with pytest.raises(ModelFailed, match="no value that fits") as failed:
            ask("Which hub is new?", output_schema=schema)
        assert failed.value.retryable is False

    def test_schema_that_nothing_can_meet_fails_clearly(self) -> None:
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {"child": {"$ref": "#"}},
            "required": ["child"],
        }
        with pytest.raises(ModelFailed):
            ask("Which?", output_schema=schema)
        broken = {"type": "object", "allOf": [{"$ref": "#"}], "properties": {"a": {"type": "x"}}}
        with pytest.raises(ModelFailed):
            ask("Which?", output_schema=broken)

    def test_tools_come_before_the_value(self) -> None:
        reply = ask("What is the penalty?", tools=DESK, output_schema=self.SCHEMA)
        assert [call.name for call in reply.tool_calls] == ["search_files"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                [
                    "path",
                    "line",
                    "text",
                    "content",
                    "error",
                    "status",
                    "result",
                    "expression",
                    "now",
                    "x",
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
FRAGMENTS = """
what is the penalty for 45,000 euro and 12 % of 3 plus ( ) ? . : ``` <context> today read a.md
http://a.b summarise in two sentences compare x of y with z - * / Context: who when 9**9**9 per week
1.5 percent ask the agent | a | ---
"""
WORDS = st.lists(st.sampled_from([*FRAGMENTS.split(), "\n"])).map(" ".join)


class TestRobustness:
    @settings(max_examples=100, deadline=None)
    @given(WORDS, WORDS, JSON)
    def test_nothing_breaks_it(self, question: str, system: str, result: Any) -> None:
        call = ToolCall(id="1", name="read_file", arguments={"path": "a.md"})
        messages = [
            Message(role="system", content=system),
            Message(role="user", content=question),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", tool_call_id="1", content=json.dumps(result)),
        ]
        reply = reply_to(ModelRequest(messages=messages, tools=DESK))
        assert reply.content or reply.tool_calls

    def test_deeply_nested_results_are_left_alone(self) -> None:
        call = ToolCall(id="1", name="lookup", arguments={})
        nested = "[" * 60 + '"The fee is 5 euro."' + "]" * 60
        assert "5 euro" not in after("What is the fee?", call, nested).content
        endless = "[" * 100_000
        assert after("What is the fee?", call, endless).content

    def test_no_messages_at_all(self) -> None:
        assert reply_to(ModelRequest(messages=[])).content.startswith("Nothing was asked.")
