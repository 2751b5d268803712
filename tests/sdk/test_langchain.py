"""LangChain with the callback handler: what it did is what the platform shows."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from muster.sdk import PlatformUnavailable, StepBlocked
from muster.sdk.langchain import MusterHandler
from tests.sdk.conftest import Agent, Person
from tests.sdk.models import Models
from tests.sdk.served import Served
from tests.support.model_scripts import Reply

pytestmark = pytest.mark.anyio

CALLS = [{"id": "call_1", "name": "add", "arguments": {"number": 1}}]


@pytest.fixture
def models() -> Iterator[Models]:
    with Models() as models:
        models.replies(Reply(text="42 euros", tool_calls=CALLS))
        yield models


def chat(models: Models, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model="gpt-4o",
        base_url=models.url + "/v1",
        api_key=SecretStr("sk"),
        max_retries=0,
        stream_usage=True,
        **options,
    )


@tool
def add(number: int) -> int:
    """Add one."""
    if number < 0:
        raise ValueError("too small")
    return number + 1


class Shelf(BaseRetriever):
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        if query == "fail":
            raise OSError("no shelf")
        return [Document(page_content=query, metadata={"page": 1})]


def _arguments(answer: Any) -> dict[str, Any]:
    return answer.tool_calls[0]["args"]


def kinds(people: Person, task_id: str) -> list[tuple[str, str, str]]:
    return [(s["kind"], s["step_name"], s["status"]) for s in people.steps(task_id)][1:-1]


async def test_a_chain(models: Models, agent: Agent, people: Person) -> None:
    muster = agent()
    handler = MusterHandler(muster, kinds={"add": ("step.resource", "POST")})
    config: Any = {"callbacks": [handler]}
    template = ChatPromptTemplate.from_messages([("user", "{question}")])
    chain = template | chat(models) | RunnableLambda(_arguments) | add
    with muster.task(id="t-1"):
        assert chain.invoke({"question": "How much?"}, config) == 2
        assert Shelf().invoke("paper", config)[0].page_content == "paper"
        assert FakeListLLM(responses=["yes"]).invoke("no chat", config) == "yes"
    async with muster.task(id="t-2"):
        assert await chain.ainvoke({"question": "How much?"}, config) == 2
        async for _ in chat(models).astream("How much?", config):
            pass
        call = {"name": "add", "args": {"number": 5}, "id": "c", "type": "tool_call"}
        assert isinstance(await add.ainvoke(call, config), ToolMessage)
    assert await muster.aflush()
    assert kinds(people, "t-1") == [
        ("step.model", "gpt-4o", "ok"),
        ("step.resource", "add", "ok"),
        ("step.resource", "Shelf", "ok"),
        ("step.model", "FakeListLLM", "ok"),
    ]
    model, added, shelf, plain = people.steps("t-1")[1:-1]
    assert model["input"]["messages"] == [[{"role": "human", "content": "How much?"}]]
    assert model["output"]["content"] == "42 euros"
    assert model["output"]["tool_calls"][0]["args"] == {"number": 1}
    assert (model["input_tokens"], model["output_tokens"]) == (20, 10)
    assert (model["cached_tokens"], model["reasoning_tokens"]) == (5, 3)
    assert model["cost"] > 0
    assert (added["verb"], added["input"], added["output"]) == ("POST", {"number": 1}, 2)
    assert (shelf["verb"], shelf["input"]) == ("GET", {"query": "paper"})
    assert shelf["output"] == [{"text": "paper", "metadata": {"page": 1}}]
    assert plain["output"] == {"content": "yes"}
    streamed, last = people.steps("t-2")[3:5]
    assert (streamed["input_tokens"], streamed["output"]["content"]) == (20, "42 euros")
    assert last["output"] == "6"
    assert people.is_valid("t-1")


async def test_a_chain_is_a_task_where_none_is_open(
    models: Models, agent: Agent, people: Person
) -> None:
    muster = agent()
    handler = MusterHandler(muster, chains=True)
    config: Any = {"callbacks": [handler]}
    inner = RunnableLambda(lambda number: {"number": number}).with_config(run_name="inner")
    chain = (inner | add).with_config(run_name="Adding")
    assert chain.invoke(1, config) == 2
    assert await asyncio.gather(*(chain.ainvoke(n, config) for n in (2, 3))) == [3, 4]
    with pytest.raises(ValueError, match="too small"):
        chain.invoke(-1, config)
    assert muster.flush()
    ends = people.get("/logs", kind="task.end")["items"]
    assert sorted((s["output"], s["step_name"]) for s in ends if s["status"] == "ok") == [
        (2, "Adding"),
        (3, "Adding"),
        (4, "Adding"),
    ]
    for end in ends:
        told = kinds(people, end["task_id"])
        assert told[0] == ("step.unknown", "inner", "ok")
        assert told[1][:2] == ("step.exec", "add")
    failed = next(s for s in ends if s["status"] == "error")
    assert failed["error"] == {"type": "ValueError", "message": "too small"}


async def test_what_fails(models: Models, agent: Agent, people: Person) -> None:
    muster = agent()
    config: Any = {"callbacks": [MusterHandler(muster)]}
    models.replies(Reply(status=400))
    with muster.task(id="t-1"):
        with pytest.raises(Exception, match="refuses"):
            chat(models).invoke("x", config)
        with pytest.raises(OSError, match="no shelf"):
            Shelf().invoke("fail", config)
        with pytest.raises(ValueError, match="too small"):
            add.invoke({"number": -1}, config)
    assert muster.flush()
    assert [status for _, _, status in kinds(people, "t-1")] == ["error"] * 3


async def test_gate(models: Models, served: Served, agent: Agent, people: Person) -> None:
    people.forbid("step.model", "block")
    people.forbid("step.exec", "block", name="No tools")
    muster = agent()
    config: Any = {"callbacks": [MusterHandler(muster, gate=True)]}
    with muster.task(id="t-1"):
        for call in (lambda: chat(models).invoke("x", config), lambda: add.invoke("1", config)):
            with pytest.raises(StepBlocked):
                call()
        for work in (chat(models).ainvoke("x", config), add.ainvoke({"number": 1}, config)):
            with pytest.raises(StepBlocked):
                await work
        assert Shelf().invoke("allowed", config)
    chain = RunnableLambda(lambda _: "x") | chat(models)
    with pytest.raises(StepBlocked):
        chain.invoke("y", config)
    assert models.count == 0
    assert muster.flush()
    assert [status for _, _, status in kinds(people, "t-1")] == ["blocked"] * 4 + ["ok"]
    alone = people.get("/logs", kind="task.end", status="blocked")["items"]
    assert len(alone) == 1
    served.stop()
    strict = agent(on_outage="closed", gate_timeout_s=0.2, timeout_s=0.2)
    with pytest.raises(PlatformUnavailable):
        add.invoke({"number": 1}, {"callbacks": [MusterHandler(strict)]})


def test_a_hook_that_fails_stops_nothing(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    handler = MusterHandler(agent())
    nonsense: Any = 5
    handler.on_llm_end(nonsense, run_id=uuid4())
    handler.on_tool_end("of no tool", run_id=uuid4())
    assert "on_llm_end could not be recorded" in caplog.text
