"""The built-in model's pieces on their own: ranking, results, tools, arguments, schemas."""

from typing import Any

import pytest

from muster.adapters.models.base import ToolSpec
from muster.adapters.models.extractive.arguments import Given, best_choice, fill
from muster.adapters.models.extractive.citations import Citations
from muster.adapters.models.extractive.evidence import Evidence
from muster.adapters.models.extractive.questions import facets_of
from muster.adapters.models.extractive.ranking import Corpus, diverse
from muster.adapters.models.extractive.results import (
    failure_of,
    findings_of,
    is_refusal,
    parse_json,
)
from muster.adapters.models.extractive.schemas import edge_numbers, resolved, type_of
from muster.adapters.models.extractive.sentences import Document, split_document
from muster.adapters.models.extractive.summarising import central, wanted_count
from muster.adapters.models.extractive.toolkinds import tool_of


def texts(text: str) -> list[str]:
    return [sentence.text for sentence in split_document(Document(text=text))]


class TestRanking:
    def test_repetitions_are_left_out(self) -> None:
        text = "The fee is 5 euro.\n\nThe fee is 5 euro!\n\nA fee is due in May."
        corpus = Corpus([Document(text=text)])
        (facet,) = facets_of("What is the fee?")
        picked = diverse(corpus.rank(facet), 3)
        assert len(picked) == 2
        assert picked[0].sentence.text.startswith("The fee is 5 euro")
        assert diverse([], 3) == []

    def test_asked_kind_comes_first(self) -> None:
        text = "The contract is ended by letter.\n\nThe contract ends on 3 May 2025."
        corpus = Corpus([Document(text=text)])
        (facet,) = facets_of("When does the contract end?")
        assert corpus.rank(facet)[0].sentence.text == "The contract ends on 3 May 2025."

    def test_questions_and_introductions_count_less(self) -> None:
        text = "What is the fee?\n\nThe fee applies to all hubs.\n\nThe fee applies to these hubs:"
        corpus = Corpus([Document(text=text)])
        (facet,) = facets_of("Explain the hub fee")
        assert corpus.rank(facet)[0].sentence.text == "The fee applies to all hubs."

    def test_nothing_asked_ranks_nothing(self) -> None:
        corpus = Corpus([Document(text="The fee is 5 euro.")])
        empty = facets_of("fee")[0]
        assert corpus.rank(type(empty)(text="", weights={}, kind="any")) == []

    def test_central_sentences_keep_their_order(self) -> None:
        text = (
            "Rain fell on the town. The bridge of the town was closed by rain. Cats sleep. "
            "The old bridge is repaired by two masons from the town."
        )
        chosen = central(split_document(Document(text=text)), 2)
        assert "Cats sleep." not in [sentence.text for sentence in chosen]
        assert [sentence.text[:8] for sentence in chosen] == ["Rain fel", "The old "]
        assert central([], 3) == []

    @pytest.mark.parametrize(
        ("text", "count"),
        [
            ("in three bullet points", 3),
            ("a single sentence", 1),
            ("99 points", 20),
            ("soon", None),
        ],
    )
    def test_wanted_counts(self, text: str, count: int | None) -> None:
        assert wanted_count(text) == count


class TestResults:
    @pytest.mark.parametrize(
        ("result", "reason"),
        [
            ("Error: no such file", "no such file"),
            ("The call was refused by a policy.", "The call was refused by a policy"),
            ({"error": "gone"}, "gone"),
            ({"error": {"detail": "gone away"}}, "gone away"),
            ({"error": True}, "it failed without a reason"),
            ({"status": 404, "title": "Not found", "detail": "No file x"}, "No file x"),
            ({"status": "denied", "reason": "not yours"}, "not yours"),
            ({"is_error": True, "content": "broken"}, "broken"),
            ({"ok": False, "message": "busy"}, "busy"),
            ({"success": False, "text": "late"}, "late"),
            ("Error handling is described here. " * 30, None),
            ("All is well", None),
            ({"status": 200, "title": "Fine"}, None),
            ({"status": "open"}, None),
            ([1, 2], None),
        ],
    )
    def test_failures_are_told_from_answers(self, result: Any, reason: str | None) -> None:
        assert failure_of(result) == reason

    def test_refusals(self) -> None:
        assert is_refusal("Blocked by policy")
        assert not is_refusal("the file is locked")

    def test_search_results_carry_their_places(self) -> None:
        result = {
            "results": [{"path": "a.md", "line": 12, "score": 3.2, "text": "The fee is 5 euro."}],
            "total": 1,
        }
        (document,) = findings_of(result, {"query": "fee"}).documents
        assert (document.location, document.first_line) == ("a.md", 12)

    def test_files_start_on_their_first_line_and_pages_have_none(self) -> None:
        (file,) = findings_of({"path": "a.md", "content": "x y"}, {}).documents
        assert file.first_line == 1
        (page,) = findings_of({"url": "http://x", "title": "X", "content": "x y"}, {}).documents
        assert (page.first_line, page.title) == (None, "X")
        (text,) = findings_of("x y", {"path": "b.md"}).documents
        assert (text.location, text.first_line) == ("b.md", 1)

    def test_records_lists_and_long_texts(self) -> None:
        long = "A long description of the thing that goes on for more than sixty characters."
        result = {
            "files": ["a.md", "b/c.txt", "two words"],
            "places": [{"path": "d.md", "size": 3}, {"city": "Oslo", "people": 700, "gone": None}],
            "remark": long,
            "flag": 7,
            "status": "open",
        }
        findings = findings_of(result, {})
        assert findings.listed == ["a.md", "b/c.txt", "d.md"]
        assert [document.text for document in findings.documents] == [
            "two words",
            "city: Oslo; people: 700",
            long,
        ]
        assert findings_of(3, {}).documents[0].text == "3"
        assert findings_of(None, {}).documents == []

    def test_json_is_parsed_where_it_is_json(self) -> None:
        assert parse_json(' {"a": 1}') == {"a": 1}
        assert parse_json("{a}") == "{a}"
        assert parse_json("12") == "12"


class TestCitations:
    def test_numbers_lines_and_titles(self) -> None:
        whole = Document(text="# Guide\n\nOne. Two.\nThree.", location="g.md", first_line=1)
        page = Document(text="Four.", location="http://x", title="Page", partial=True)
        citations = Citations()
        first, _, third = split_document(whole)
        assert [citations.cite(s) for s in (first, third, *split_document(page))] == [
            "[1]", "[1]", "[2]",
        ]  # fmt: skip
        assert citations.labels() == ["g.md", "http://x"]
        assert citations.listing() == (
            "Sources:\n\n- [1] g.md, lines 3, 4 (Guide)\n"
            "- [2] http://x (Page); only a part of it was read"
        )
        assert Citations().listing() == ""


class TestToolKinds:
    @pytest.mark.parametrize(
        ("name", "parameter", "purpose"),
        [
            ("search_files", "query", "search"),
            ("knowledgeSearch", "q", "search"),
            ("web_search", "query", "web_search"),
            ("read_file", "path", "read"),
            ("open", "file_path", "read"),
            ("http_get", "url", "fetch"),
            ("math", "expression", "calculate"),
            ("current_time", "timezone", "clock"),
            ("list_documents", "folder", "list"),
            ("ask_agent", "question", "ask"),
            ("delete_file", "path", "other"),
            ("rate", "stars", "other"),
        ],
    )
    def test_purpose(self, name: str, parameter: str, purpose: str) -> None:
        schema = {"type": "object", "properties": {parameter: {"type": "string"}}}
        spec = ToolSpec(name=name, description="", parameters=schema)
        assert tool_of(spec).purpose == purpose

    def test_parameters_that_are_no_schemas_count_as_free(self) -> None:
        spec = ToolSpec(name="search", description="", parameters={"properties": {"query": True}})
        assert tool_of(spec).purpose == "search"
        bare = ToolSpec(name="search", description="", parameters={"properties": 3})
        assert tool_of(bare).purpose == "other"


class TestArguments:
    @staticmethod
    def filled(
        question: str, schema: dict[str, Any], *, text: str = "", required: bool = True
    ) -> Any:
        spec = ToolSpec(
            name="t",
            description="",
            parameters={
                "type": "object",
                "properties": schema,
                "required": list(schema) if required else [],
            },
        )
        return fill(spec, Given(question=question, text=text))

    @pytest.mark.parametrize(
        ("question", "schema", "expected"),
        [
            ("Show order AB-12", {"order_id": {"type": "string"}}, {"order_id": "AB-12"}),
            ("Find Ada Lovelace", {"name": {"type": "string"}}, {"name": "Ada Lovelace"}),
            ("Play 'Blue Moon'", {"song": {"type": "string"}}, {"song": "Blue Moon"}),
            ("Play it", {"song": {"type": "string"}}, None),
            ("Play it", {"song": {"type": "string", "default": "x"}}, {"song": "x"}),
            ("Note this down", {"text": {"type": "string"}}, {"text": "Note this down"}),
            (
                "See http://a.example/b",
                {"page_uri": {"format": "uri"}},
                {"page_uri": "http://a.example/b"},
            ),
            ("Wait 5 minutes", {"seconds": {"type": "integer"}}, {"seconds": 5}),
            ("Wait", {"seconds": {"type": "integer"}}, None),
            ("Wait 2.5", {"seconds": {"type": "number"}}, {"seconds": 2.5}),
            ("Top 3 hubs", {"limit": {"type": "integer"}}, {"limit": 3}),
            ("Show 4 results", {"max_results": {"type": "integer"}}, {"max_results": 4}),
            ("Do it without detail", {"detail": {"type": "boolean"}}, {"detail": False}),
            ("Do it", {"detail": {"type": "boolean", "default": True}}, {"detail": True}),
            ("Do it", {"options": {"type": "object"}}, {"options": {}}),
            ("Do it", {"kind": {"enum": ["a b", "c"]}}, None),
            ("Do it", {"kind": {"enum": ["a b", "c"], "default": "c"}}, {"kind": "c"}),
            ("Take 9", {"size": {"type": "integer", "maximum": 5}}, None),
            ("Go", {"x": {"anyOf": [{"type": "null"}, {"type": "boolean"}]}}, {"x": False}),
        ],
    )
    def test_required_ones(self, question: str, schema: dict[str, Any], expected: Any) -> None:
        assert self.filled(question, schema) == expected

    def test_text_that_was_handed_over_is_used(self) -> None:
        schema = {"text": {"type": "string"}}
        assert self.filled("Count the words", schema, text="a b c") == {"text": "a b c"}

    def test_optional_ones_are_left_out_when_unknown(self) -> None:
        schema: dict[str, Any] = {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "mode": {"type": "string", "default": "fast"},
            "options": {"type": "object"},
            "all": {"type": "boolean"},
            "comment": {"type": "string"},
        }
        assert self.filled("Go on", schema, required=False) == {}

    def test_choice_needs_half_of_its_words(self) -> None:
        assert best_choice(["legal expert", "cook"], "ask the expert") == "legal expert"
        assert best_choice(["very old legal expert"], "ask the expert") is None
        assert best_choice(["--"], "ask") is None


class TestSchemas:
    def test_references_and_alternatives(self) -> None:
        root = {"$defs": {"a/b": {"type": "integer"}}}
        assert resolved({"$ref": "#/$defs/a~1b", "title": "T"}, root) == {
            "type": "integer", "title": "T",
        }  # fmt: skip
        assert resolved({"$ref": "http://x"}, root) == {}
        options = {"anyOf": [{"type": "null"}, {"type": "string"}]}
        assert resolved(options, root) == {"type": "string"}
        assert resolved(options, root, prefers_null=True) == {"type": "null"}
        assert resolved({"oneOf": [{"type": "null"}]}, root) == {"type": "null"}

    def test_types_are_told_from_keywords(self) -> None:
        schemas: list[dict[str, Any]] = [
            {"type": ["null", "integer"]},
            {"type": ["null"]},
            {"properties": {}},
            {"items": {}},
            {},
        ]
        assert [type_of(schema) for schema in schemas] == [
            "integer", "null", "object", "array", "string",
        ]  # fmt: skip

    def test_edges(self) -> None:
        assert edge_numbers({"default": 2, "minimum": 10, "multipleOf": 7}) == [2, 0, 10, 14]
        assert 4.0 in edge_numbers({"exclusiveMinimum": 3})
        assert 1.999 in edge_numbers({"exclusiveMaximum": 2})


class TestEvidence:
    @staticmethod
    def of(text: str, question: str = "What is known of the hub?") -> Evidence:
        corpus = Corpus([Document(text=text, location="a.md")])
        return Evidence(question=question, answer="A hub.", corpus=corpus, sources=["a.md"])

    def test_dates_of_both_notations(self) -> None:
        written = self.of("The hub was released on 3 February 2025.")
        assert written.formatted("date", "released") == ["2025-02-03"]
        assert self.of("The hub dates from 2025-02-04.").formatted("date", "hub") == ["2025-02-04"]
        assert self.of("The hub is of 7 Foo 2025.").formatted("date", "hub") == []
        assert self.of("The hub is new.").formatted("date", "hub") == []
        assert self.of("The hub is new.").formatted("uuid", "hub") == []
        assert self.of("The hub: http://h.example/a.").formatted("uri", "x") == [
            "http://h.example/a"
        ]

    def test_affirmations(self) -> None:
        assert self.of("The hub is approved for gravel.").affirms("hub approved gravel")
        assert not self.of("The hub is not approved for tandems.").affirms("hub approved tandems")
        assert not self.of("Nothing else.").affirms("hub")

    def test_texts_for_fields(self) -> None:
        evidence = self.of("The hub weighs 268 g.")
        assert evidence.texts({}, "answer") == ["A hub."]
        assert evidence.texts({}, "sources") == ["a.md"]
        assert evidence.texts({}, "weight") == ["The hub weighs 268 g."]
        assert evidence.texts({"pattern": "("}, "weight") == []
        assert evidence.texts({"pattern": "^\\d{3}$"}, "weight") == ["268"]
        assert evidence.numbers("weight") == [268]
        assert Evidence(question="x", answer="", corpus=Corpus([]), sources=[]).numbers(
            "confidence"
        ) == [0.0]

    def test_choices(self) -> None:
        evidence = self.of("The hub is red.")
        assert evidence.choice(["red", "blue"], "colour of the hub") == "red"
        assert evidence.choice(["green", "blue"], "colour of the hub") is None
