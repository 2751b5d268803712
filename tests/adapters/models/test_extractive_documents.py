"""The built-in model answering questions about the example documents, tool calls and all."""

from typing import Any

import pytest
import yaml

from muster.adapters.models.extractive.model import ExtractiveModel
from tests.adapters.models.document_desk import DOCUMENTS, TOOLS, Loop, spec

pytestmark = pytest.mark.anyio

AGENT = DOCUMENTS.parent / "agents" / "document-analyst.yaml"

QUESTIONS: list[tuple[str, list[str], str]] = [
    (
        "How much may a hotel cost per night in Paris?",
        ["**190 euro** per night"],
        "travel-policy.md, line 19",
    ),
    (
        "What was the root cause of the acid leak and what did it cost?",
        ["missing labelling of spare parts", "27,400 euro"],
        "incident-report-anodising-line.md, lines 19, 25",
    ),
    (
        "Who is responsible for the leak sensor and when is it due?",
        ["31 May 2025", "Sofie Krag"],
        "incident-report-anodising-line.md, line 33",
    ),
    (
        "How much do 60 rear hubs HF-2 cost?",
        ["60 pieces at 85.00 (from 50 pieces) come to **5,100**"],
        "price-list-2025.md, line 11",
    ),
    (
        "When does series production of the HF-2 start and what is the launch budget?",
        ["2 June 2025", "75,000 euro"],
        "meeting-minutes-2025-04-08.md, line 20",
    ),
    (
        "How many days of paid holiday do employees have?",
        ["**30 days** of paid holiday"],
        "onboarding-guide.txt, line 25",
    ),
    (
        "What is the weight of the HF-2 and what is its maximum system weight?",
        ["268 g", "**130 kg**"],
        "product-specification-hf2.md, lines 19, 29",
    ),
    (
        "How much is reimbursed for driving 320 kilometres with a private car?",
        ["320 kilometres at 0.36 euro is **115.20** euro"],
        "travel-policy.md, line 29",
    ),
    (
        "What is the penalty for an order of 45,000 euro that is 3 weeks late?",
        ["**2,025** euro", "limit of 9 % of 45,000 euro is **4,050** euro"],
        "supplier-contract.md, lines 24, 25",
    ),
    (
        "What daily allowance do I get for 4 days abroad?",
        ["4 days at 62 euro is **248** euro"],
        "travel-policy.md, line 24",
    ),
    (
        "Can I return custom drilled hubs, and what restocking fee is charged?",
        ["Custom drilled hubs cannot be returned", "10 percent"],
        "price-list-2025.md, lines 26, 27",
    ),
    (
        "Compare the payment terms of the supplier contract and the price list.",
        ["within 45 days net. [1]", "within **30 days**", "in advance. [2]"],
        "[2] price-list-2025.md, line 22",
    ),
    (
        "Which decisions were taken in the meeting?",
        ["second supplier", "75,000 euro", "4 percent on 1 July 2025"],
        "meeting-minutes-2025-04-08.md, lines 30, 31, 32",
    ),
    (
        "What must I do when I am sick?",
        ["Call your team lead before 09:00", "doctor's note"],
        "onboarding-guide.txt, line 31",
    ),
    (
        "List the actions after the incident",
        ["gaskets", "Spare parts get labels", "weekly check", "leak sensor"],
        "incident-report-anodising-line.md, lines 30, 31, 32, 33",
    ),
    (
        "Why did the gross margin fall?",
        ["because aluminium became more expensive"],
        "meeting-minutes-2025-04-08.md, line 8",
    ),
]


@pytest.mark.parametrize(("question", "facts", "source"), QUESTIONS)
async def test_answers_with_the_fact_and_its_source(
    question: str, facts: list[str], source: str
) -> None:
    loop = Loop(ExtractiveModel())
    answer = (await loop.ask(question)).content
    for fact in facts:
        assert fact in answer
    assert "Sources:" in answer
    assert source in answer
    assert "Nothing was found" not in answer
    assert len({str(call) for call in loop.calls}) == len(loop.calls), "a call was made twice"


async def test_example_agent_searches_reads_and_calculates() -> None:
    agent: dict[str, Any] = yaml.safe_load(AGENT.read_text())
    assert agent["llm"] == "builtin/extractive"
    assert set(agent["tools"]) == TOOLS.keys()
    loop = Loop(ExtractiveModel(), system=f"{agent['role']}. {agent['goal']}")
    reply = await loop.ask(agent["prompt"].format(**agent["inputs"]))
    assert loop.rounds < agent["max_iter"]
    assert [name for name, _ in loop.calls] == [
        "search_files",
        "search_files",
        "search_files",
        "read_file",
        "calculator",
        "calculator",
    ]
    lead, _, rest = reply.content.partition("\n\n")
    assert lead.endswith("a notice period of **90 days** to the end of a calendar quarter. [1]")
    assert (
        "a penalty of **1.5 percent** of the order value for each full week of delay. [1]" in rest
    )
    assert "is **675** euro for each week (`45000*1.5/100`, by the rule in [1])." in rest
    assert "- [1] supplier-contract.md, lines 24, 25, 41 (Supply agreement with Kestrel" in rest


async def test_documents_of_one_company_are_there() -> None:
    files = sorted(DOCUMENTS.iterdir())
    assert len(files) >= 6
    for file in files:
        assert 150 <= len(file.read_text().split()) <= 500, file.name


async def test_says_what_it_looked_at_when_nothing_fits() -> None:
    loop = Loop(ExtractiveModel())
    answer = (await loop.ask("What is the parental leave policy?")).content
    assert answer.startswith("I found nothing that answers “What is the parental leave policy?”")
    assert "`search_files` (“parental leave policy”)" in answer
    assert "Sources:" not in answer


async def test_says_which_part_was_not_found() -> None:
    loop = Loop(ExtractiveModel())
    question = "How long is the warranty on bearings and what is the parental leave policy?"
    answer = (await loop.ask(question)).content
    assert "two years for bearings" in answer
    assert "Nothing was found on “what is the parental leave policy”." in answer


async def test_summarises_the_document_that_is_meant() -> None:
    loop = Loop(ExtractiveModel())
    answer = (await loop.ask("Summarise the meeting minutes of April 2025 in 4 points.")).content
    body, _, sources = answer.partition("Sources:")
    assert body.count("[1]") == 4
    assert "meeting-minutes-2025-04-08.md" in sources
    assert "[2]" not in answer


async def test_reads_the_file_that_is_named() -> None:
    loop = Loop(ExtractiveModel())
    answer = (await loop.ask("What is in onboarding-guide.txt?")).content
    assert loop.calls == [("read_file", {"path": "onboarding-guide.txt"})]
    assert "onboarding-guide.txt, lines" in answer


async def test_time_and_document_in_one_question() -> None:
    loop = Loop(ExtractiveModel())
    answer = (
        await loop.ask(
            "What is today's date and by when must Rasmus Toft present offers for a supplier?"
        )
    ).content
    assert loop.calls[0] == ("current_time", {})
    assert answer.startswith("Today is Thursday, 15 May 2025; the time is 09:30 (UTC).")
    assert "by 16 May 2025. [1]" in answer


async def test_follow_up_uses_the_question_before_and_asks_the_time_anew() -> None:
    loop = Loop(ExtractiveModel())
    await loop.ask("What is the hotel limit in Paris and what is today's date?")
    before = len(loop.calls)
    answer = (await loop.ask("And what about Zurich today?")).content
    assert "190 euro" in answer
    assert ("current_time", {}) in loop.calls[before:]


async def test_tries_the_next_document_when_one_cannot_be_read() -> None:
    def broken(path: str) -> Any:
        if path == "supplier-contract.md":
            return "Error: the file is locked"
        return TOOLS["read_file"](path)

    loop = Loop(ExtractiveModel(), tools={**TOOLS, "read_file": broken})
    answer = (await loop.ask("What are the payment terms of Kestrel and of dealers?")).content
    assert "`read_file` (“supplier-contract.md”) did not work: the file is locked." in answer
    assert sum(name == "read_file" for name, _ in loop.calls) >= 2
    assert "within 30 days" in answer.replace("*", "")


async def test_refused_search_is_not_tried_again() -> None:
    def refused(query: str) -> Any:
        return {"status": "refused", "reason": "Blocked by the policy “no file search”"}

    loop = Loop(ExtractiveModel(), tools={**TOOLS, "search_files": refused})
    answer = (await loop.ask("What is the restocking fee?")).content
    assert [name for name, _ in loop.calls] == ["search_files"]
    assert answer.startswith("I could not answer")
    assert "did not work: Blocked by the policy “no file search”." in answer


async def test_everything_failing_ends_soon() -> None:
    tools = {name: lambda **_: "Error: out of order" for name in TOOLS}
    loop = Loop(ExtractiveModel(), tools=tools)
    question = "What is today's date, what is 3 + 4, and what is in price-list-2025.md on returns?"
    answer = (await loop.ask(question)).content
    assert loop.rounds <= 7
    assert "did not work: out of order" in answer


async def test_refused_calculator_is_not_replaced() -> None:
    tools = {**TOOLS, "calculator": lambda **_: {"error": {"message": "Not allowed here."}}}
    loop = Loop(ExtractiveModel(), tools=tools)
    answer = (await loop.ask("What is 12 * 12?")).content
    assert "144" not in answer
    assert "Not allowed here" in answer


async def test_searches_the_web_only_without_local_hits_and_opens_what_it_found() -> None:
    web = spec("web_search", "Search the web.", ["query"], query={"type": "string"})
    fetch = spec("fetch_page", "Fetch a page.", ["url"], url={"type": "string", "format": "uri"})
    page = {
        "url": "https://example.org/kilns",
        "title": "Kilns",
        "markdown": "# Kilns\n\nA kiln for porcelain reaches 1,400 degrees Celsius.",
    }
    hit = {"title": "Kilns", "url": page["url"], "snippet": "All about porcelain kilns."}
    tools: dict[str, Any] = {
        "search_files": lambda **_: {"results": [], "total": 0},
        "web_search": lambda **_: {"results": [hit]},
        "fetch_page": lambda **_: page,
    }
    specs = [spec("search_files", "Search.", ["query"], query={"type": "string"}), web, fetch]
    loop = Loop(ExtractiveModel(), specs=specs, tools=tools)
    answer = (await loop.ask("What temperature does a porcelain kiln reach?")).content
    assert "1,400 degrees" in answer
    assert "- [1] https://example.org/kilns (Kilns)" in answer
    assert loop.calls[0][0] == "search_files"
    assert loop.calls[-1] == ("fetch_page", {"url": page["url"]})


async def test_lists_the_files_when_there_is_no_search() -> None:
    listing = spec("list_files", "List the files.")
    read = spec("read_file", "Read a file.", ["path"], path={"type": "string"})
    tools: dict[str, Any] = {
        "list_files": lambda: sorted(file.name for file in DOCUMENTS.iterdir()),
        "read_file": TOOLS["read_file"],
    }
    loop = Loop(ExtractiveModel(), specs=[listing, read], tools=tools)
    answer = (await loop.ask("What does the travel policy say about premium economy?")).content
    assert loop.calls == [("list_files", {}), ("read_file", {"path": "travel-policy.md"})]
    assert "premium economy" in answer
