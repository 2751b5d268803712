"""The built-in model as a chat model: prompts, tools of all kinds, their results."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.adapters.models.base import (
    ChatModel,
    Message,
    ModelReply,
    ModelRequest,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from muster.adapters.models.extractive.model import ExtractiveModel, pieces_of, reply_to
from tests.adapters.models.asking import LEAGUE, after, ask, calls
from tests.adapters.models.document_desk import CALCULATOR, CURRENT_TIME, DESK, spec

pytestmark = pytest.mark.anyio


class TestReply:
    async def test_says_what_it_is_and_costs_nothing(self) -> None:
        model: ChatModel = ExtractiveModel()
        reply = await model.request(
            ModelRequest(messages=[Message(role="user", content="What are you?")])
        )
        assert (reply.model, reply.provider, reply.cost) == ("builtin/extractive", "builtin", 0.0)
        assert reply.finish_reason == "stop"
        assert "I am not a language model" in reply.content
        assert reply.usage.input_tokens == 4
        assert reply.usage.output_tokens == -(-len(reply.content) // 4)

    async def test_same_request_gives_the_same_reply(self) -> None:
        request = ModelRequest(
            messages=[Message(role="user", content="Find the penalty")], tools=DESK
        )
        model = ExtractiveModel()
        assert await model.request(request) == await model.request(request)

    async def test_streams_the_words_and_then_the_reply(self) -> None:
        model: ChatModel = ExtractiveModel()
        request = ModelRequest(
            messages=[Message(role="user", content=f"Summarise the following text: {LEAGUE}")]
        )
        events = [event async for event in model.stream(request)]
        assert all(isinstance(event, TextDelta) for event in events[:-1])
        assert len(events) > 5
        last = events[-1]
        assert isinstance(last, ModelReply)
        assert "".join(e.text for e in events if isinstance(e, TextDelta)) == last.content
        assert last == await model.request(request)

    async def test_streams_calls_in_the_reply_alone(self) -> None:
        request = ModelRequest(
            messages=[Message(role="user", content="What is 3 * 4?")], tools=(CALCULATOR,)
        )
        events = [event async for event in ExtractiveModel().stream(request)]
        assert len(events) == 1
        reply = events[0]
        assert isinstance(reply, ModelReply)
        assert reply.finish_reason == "tool_calls"
        assert reply.content == ""
        assert reply.tool_calls[0].id.startswith("call_")

    @given(st.text())
    def test_pieces_are_the_text(self, text: str) -> None:
        assert "".join(pieces_of(text)) == text

    def test_stops_where_it_is_told(self) -> None:
        question = f"Summarise the following text: {LEAGUE}"
        whole = ask(question).content
        short = ask(question, settings={"max_tokens": 5})
        assert (short.content, short.finish_reason) == (whole[:20], "length")
        stopped = ask(question, settings={"stop_sequences": ["merchant", ""]})
        assert stopped.content == whole.partition("merchant")[0]
        assert stopped.finish_reason == "stop"
        assert ask(question, settings={"max_tokens": 5000, "temperature": 2}).content == whole

    async def test_large_material_is_answered_quickly(self) -> None:
        lines = [f"Clause {n} sets a fee of {n % 97} euro for item {n * 7}." for n in range(4000)]
        lines[2500] = "The contract may be terminated with a notice period of 90 days."
        text = "\n\n".join(lines)
        assert len(text) > 200_000
        request = ModelRequest(
            messages=[
                Message(role="user", content="What is the notice period of the contract?"),
                Message(
                    role="assistant",
                    tool_calls=(ToolCall(id="1", name="read_file", arguments={"path": "a.md"}),),
                ),
                Message(role="tool", tool_call_id="1", content=text),
            ]
        )
        model = ExtractiveModel()
        durations: list[float] = []
        reply = await model.request(request)
        for _ in range(3):
            started = time.process_time()
            reply = await model.request(request)
            durations.append(time.process_time() - started)
        assert "**90 days**. [1]" in reply.content
        assert "a.md, line 5001" in reply.content
        assert min(durations) < 0.6


class TestWithoutTools:
    @pytest.mark.parametrize(
        ("prompt", "start"),
        [
            ("Hello!", "Hello! I am `builtin/extractive`"),
            ("What can you do?", "I am `builtin/extractive`"),
            ("help", "I am `builtin/extractive`"),
            ("Thanks a lot!", "You are welcome."),
            ("Say hello", "Hello"),
            ("Please reply with exactly: OK.", "OK"),
            ('Respond with "ready"', "Ready"),
            ("", "Nothing was asked."),
            ("Write a poem about spring", "I have no text to answer “Write a poem about spring”"),
            ("Answer the question", "I have no text"),
            ("Hello, what is the price of a hub?", "I have no text"),
        ],
    )
    def test_small_talk_is_honest(self, prompt: str, start: str) -> None:
        assert ask(prompt).content.startswith(start)

    def test_long_wishes_are_shortened_in_the_reply(self) -> None:
        reply = ask("Write a poem about spring " + "and green meadows " * 20)
        assert " …” from." in reply.content

    def test_names_the_tools_it_was_given(self) -> None:
        assert "`calculator`" in ask("What can you do?", tools=(CALCULATOR,)).content

    @pytest.mark.parametrize(
        "prompt",
        [
            f"{LEAGUE}\n\nWhen did the last assembly take place?",
            f"Context:\n{LEAGUE}\n\nQuestion: When did the last assembly take place?",
            f"<document title='x'>{LEAGUE}</document>\nWhen did the last assembly take place?",
            f"When did the last assembly take place?\n```\n{LEAGUE}\n```",
            f"When did the last assembly take place? {LEAGUE}",
        ],
    )
    def test_answers_from_text_in_the_prompt(self, prompt: str) -> None:
        content = ask(prompt).content
        assert content.startswith("The last assembly took place in 1669. [1]")
        assert "Sources:" in content

    def test_names_the_document_of_a_tag(self) -> None:
        prompt = f"<document title='league.txt'>{LEAGUE}</document>\nWhere did the assembly meet?"
        content = ask(prompt).content
        assert "Lübeck" in content.partition("Sources:")[0]
        assert content.endswith("- [1] league.txt")

    def test_summary_has_as_many_sentences_as_asked(self) -> None:
        one = ask(f"Summarise the following text in one sentence:\n\n{LEAGUE}").content
        assert one in LEAGUE
        assert one.count(".") == 1
        points = ask(f"Give me 3 bullet points on the key points:\n{LEAGUE}").content.split("\n")
        assert len(points) == 3
        assert all(point.startswith("- ") and point[2:] in LEAGUE for point in points)

    def test_task_with_context_gets_the_main_points(self) -> None:
        prompt = (
            "Current Task: Analyse the market\n\nExpected output: a list of 2 bullet points\n\n"
            f"Context from earlier tasks:\n{LEAGUE}"
        )
        assert ask(prompt).content.count("- ") == 2

    def test_sums_are_worked_out_without_a_calculator(self) -> None:
        assert ask("What is 12.5% of 840 plus 3?").content == "`840*12.5/100+3` = **108**"
        assert ask("What is 1 / 0?").content.startswith("I have no text")

    def test_rules_in_the_prompt_are_applied(self) -> None:
        prompt = (
            "Context:\nThe supplier pays a penalty of 2 percent of the order value for each week. "
            "The penalty is at most 5 percent.\n\nQuestion: What is the penalty for €1,000?"
        )
        content = ask(prompt).content
        assert content.startswith("2 % of 1,000 euro is **20** euro for each week")
        assert "The limit of 5 % of 1,000 euro is **50** euro" in content

    def test_documents_of_the_instructions_count(self) -> None:
        messages = [
            Message(role="system", content=f"You help.\n<context>{LEAGUE}</context>"),
            Message(role="user", content="How many towns belonged to the league?"),
        ]
        content = reply_to(ModelRequest(messages=messages)).content
        assert "nearly 200 towns" in content
        assert "- [1] the instructions" in content


class TestChoosingTools:
    def test_calculator_gets_the_sum(self) -> None:
        assert calls("what is 12.5% of 840 plus 3?", *DESK) == [
            ("calculator", {"expression": "840*12.5/100+3"})
        ]

    def test_clock_is_asked_with_the_zone_that_is_named(self) -> None:
        assert calls("What time is it in Europe/Madrid?", CURRENT_TIME) == [
            ("current_time", {"timezone": "Europe/Madrid"})
        ]
        assert calls("Which weekday is it today?", CURRENT_TIME) == [("current_time", {})]

    def test_independent_calls_come_together(self) -> None:
        question = "What is the hotel limit and what is 3 + 4 and what is today's date?"
        assert calls(question, *DESK) == [
            ("current_time", {}),
            ("calculator", {"expression": "3+4"}),
            ("search_files", {"query": "hotel limit"}),
        ]

    def test_urls_and_paths_are_opened_and_not_searched(self) -> None:
        fetch = spec("fetch_url", "Fetch.", ["url"], url={"type": "string"})
        question = "Compare https://example.org/a?b=1 with notes/plan.md, please."
        assert calls(question, fetch, *DESK) == [
            ("fetch_url", {"url": "https://example.org/a?b=1"}),
            ("read_file", {"path": "notes/plan.md"}),
        ]

    def test_another_agent_is_asked_only_by_name(self) -> None:
        ask_agent = spec(
            "ask_agent",
            "Ask another agent.",
            ["agent", "question"],
            agent={"type": "string", "enum": ["Legal Expert", "Accountant"]},
            question={"type": "string"},
        )
        question = "Ask the accountant whether invoices are due."
        assert calls(question, ask_agent) == [
            ("ask_agent", {"agent": "Accountant", "question": question})
        ]
        assert calls("Are invoices due?", ask_agent) == []

    def test_free_agent_names_and_tools_named_after_agents(self) -> None:
        delegate = spec(
            "delegate_work",
            "Delegate.",
            ["coworker", "task"],
            coworker={"type": "string"},
            task={"type": "string"},
        )
        question = "Delegate to the Researcher: find new hubs"
        assert calls(question, delegate)[0][1]["coworker"] == "Researcher"
        assert calls("Find new hubs", delegate) == []
        ask_writer = spec("ask_writer", "Ask.", ["question"], question={"type": "string"})
        assert calls("Let the writer say it", ask_writer)[0][0] == "ask_writer"
        assert calls("Let the author say it", ask_writer) == []

    def test_actions_need_their_verb_and_their_arguments(self) -> None:
        send = spec(
            "send_email",
            "Send an e-mail.",
            ["email", "text"],
            email={"type": "string", "format": "email"},
            text={"type": "string"},
        )
        question = 'Send an email to ada@example.org saying "All is well"'
        assert calls(question, send) == [
            ("send_email", {"email": "ada@example.org", "text": "All is well"})
        ]
        assert calls("Send an email", send) == []
        assert calls("What does the email of ada@example.org say?", send) == []

    def test_parameters_of_all_types_are_filled_from_the_question(self) -> None:
        weather = spec(
            "get_weather",
            "Get the weather.",
            ["city", "unit", "detailed"],
            city={"type": "string"},
            unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
            days={"type": "integer", "default": 1},
            detailed={"type": "boolean"},
            hourly={"type": "boolean", "default": False},
            tags={"type": "array", "items": {"type": "string", "enum": ["wind", "rain"]}},
            date={"type": ["string", "null"], "format": "date"},
            source={"const": "station"},
        )
        question = "Get the weather in New York for 3 days in celsius with hourly rain, 2025-06-01"
        assert calls(question, weather) == [
            (
                "get_weather",
                {
                    "city": "New York",
                    "unit": "celsius",
                    "days": 3,
                    "detailed": False,
                    "hourly": True,
                    "tags": ["rain"],
                    "date": "2025-06-01",
                    "source": "station",
                },
            )
        ]
        assert calls("Get the weather in Oslo", weather) == []

    def test_tool_with_a_broken_schema_is_not_called(self) -> None:
        broken = ToolSpec(
            name="search_files",
            description="Search",
            parameters={"properties": {"query": {"type": "text"}}, "required": "query"},
        )
        assert calls("Where is the contract?", broken) == []
        remote = ToolSpec(
            name="search_files",
            description="Search",
            parameters={"properties": {"query": {"$ref": "http://127.0.0.1:9/x"}}},
        )
        assert calls("Where is the contract?", remote) == []

    def test_enough_in_the_prompt_needs_no_search(self) -> None:
        prompt = f"Context:\n{LEAGUE}\n\nQuestion: When did the last assembly take place?"
        assert calls(prompt, *DESK) == []

    def test_rounds_are_bounded(self) -> None:
        messages = [Message(role="user", content="Where is the contract on forged shells?")]
        for number in range(6):
            call = ToolCall(id=str(number), name="search_files", arguments={"query": f"q{number}"})
            messages += [
                Message(role="assistant", tool_calls=(call,)),
                Message(role="tool", tool_call_id=call.id, content='{"results": []}'),
            ]
        reply = reply_to(ModelRequest(messages=messages, tools=DESK))
        assert reply.tool_calls == ()
        assert reply.content.startswith("I found nothing that answers")

    def test_call_without_a_result_counts_as_failed(self) -> None:
        call = ToolCall(id="1", name="search_files", arguments={"query": "a b"})
        messages = [
            Message(role="user", content="Where is the contract?"),
            Message(role="assistant", tool_calls=(call,)),
        ]
        content = reply_to(ModelRequest(messages=messages)).content
        assert "`search_files` (“a b”) did not work: it gave no result." in content


class TestToolResults:
    CALL = ToolCall(id="1", name="lookup", arguments={"name": "x"})

    @pytest.mark.parametrize(
        ("result", "expected"),
        [
            ({"data": {"rows": [{"town": "Lübeck", "seats": 12}]}}, "town: Lübeck; seats: 12"),
            ([{"title": "T", "snippet": "Lübeck has 12 seats."}], "Lübeck has 12 seats. [1]"),
            ({"answer": "Lübeck has 12 seats."}, "Lübeck has 12 seats. [1]"),
            ("Lübeck has 12 seats.", "Lübeck has 12 seats. [1]"),
            ('{"broken": "Lübeck has 12 seats', "Lübeck has 12 seats"),
        ],
    )
    def test_any_shape_is_read(self, result: Any, expected: str) -> None:
        assert expected in after("How many seats has Lübeck?", self.CALL, result).content

    def test_plain_text_of_the_calculator_is_its_result(self) -> None:
        call = ToolCall(id="1", name="calculator", arguments={"expression": "6*7"})
        content = after("What is 6 * 7?", call, "42", tools=(CALCULATOR,)).content
        assert content == "`6*7` = **42**"

    def test_calculator_may_answer_with_words(self) -> None:
        call = ToolCall(id="1", name="calculator", arguments={"expression": "1/0"})
        result = {"expression": "1/0", "result": "infinite"}
        content = after("What is 1 / 0?", call, result, tools=(CALCULATOR,)).content
        assert content == "`1/0` = **infinite**"

    def test_time_is_told_as_far_as_it_is_known(self) -> None:
        call = ToolCall(id="1", name="current_time", arguments={})
        for result, expected in [
            ({"now": "2025-02-03T10:20:00Z"}, "Today is 3 February 2025; the time is 10:20."),
            ({"now": "soon", "timezone": "UTC"}, "Today is soon (UTC)."),
        ]:
            assert after("What time is it?", call, result).content == expected

    def test_passages_of_a_search_do_not_replace_each_other(self) -> None:
        passages = [
            {"path": "a.md", "line": 1, "text": "# Fees\n\nThe hub fee is 5 euro."},
            {"path": "a.md", "line": 30, "text": "The finance team\nreviews prices in May."},
        ]
        question = "What is the hub fee and when does the finance team review prices?"
        content = after(question, self.CALL, {"results": passages}).content
        assert content.startswith("The hub fee is **5 euro**. [1]")
        assert "- The finance team reviews prices in May. [1]" in content
        assert "- [1] a.md, lines 3, 30" in content

    def test_summary_is_of_what_came_with_the_question(self) -> None:
        read = {"path": "a.md", "content": "# Cats\n\nCats sleep a lot.\nCats hunt mice."}
        messages = [
            Message(role="user", content="Read a.md"),
            Message(role="assistant", tool_calls=(self.CALL,)),
            Message(role="tool", tool_call_id="1", content=json.dumps(read)),
            Message(role="assistant", content="Cats."),
            Message(role="user", content=f"Summarise the following text:\n{LEAGUE}"),
        ]
        content = reply_to(ModelRequest(messages=messages)).content
        assert "Cats" not in content
        assert "league" in content

    def test_partial_documents_are_named_as_such(self) -> None:
        result = {"path": "a.md", "content": "The fee is 5 euro.", "truncated": True}
        content = after("What is the fee?", self.CALL, result).content
        assert "- [1] a.md, line 1; only a part of it was read" in content
