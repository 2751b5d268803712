"""The built-in model's pieces on their own: words, sentences, questions, sums, quantities."""

import pytest

from muster.adapters.models.extractive.addresses import without_addresses
from muster.adapters.models.extractive.arithmetic import expressions, work_out
from muster.adapters.models.extractive.deriving import derive
from muster.adapters.models.extractive.prompts import split_turn
from muster.adapters.models.extractive.quantities import (
    Quantity,
    Share,
    quantities,
    rates,
    readable_number,
    shares,
    without_quantities,
)
from muster.adapters.models.extractive.questions import facets_of, kind_of
from muster.adapters.models.extractive.ranking import Corpus
from muster.adapters.models.extractive.sentences import Document, split_document, split_paragraph
from muster.adapters.models.extractive.wording import displayed, ended
from muster.adapters.models.extractive.words import alternatives, keywords, stem, synonyms


def texts(text: str) -> list[str]:
    return [sentence.text for sentence in split_document(Document(text=text))]


class TestWords:
    @pytest.mark.parametrize(
        "family",
        [
            "terminate terminated termination terminating",
            "deliver delivers delivery deliveries delivered",
            "supplier suppliers supply supplies",
            "travel travelling travelled",
            "reimburse reimbursed reimbursement",
            "company's company companies",
        ],
    )
    def test_inflections_share_a_stem(self, family: str) -> None:
        assert len({stem(word) for word in family.split()}) == 1

    def test_codes_and_short_words_are_kept(self) -> None:
        assert [stem(word) for word in ("hf-2s", "day", "gas", "6902")] == [
            "hf-2s", "day", "gas", "6902",
        ]  # fmt: skip

    def test_keywords_leave_out_stop_words_and_repetitions(self) -> None:
        assert keywords("What is the Price of the HF-2, and what prices apply?") == [
            "Price", "HF-2", "apply",
        ]  # fmt: skip

    def test_synonyms_go_both_ways(self) -> None:
        assert stem("fine") in synonyms(stem("penalty"))
        assert stem("penalty") in synonyms(stem("fine"))
        assert alternatives("Sick") == ["ill", "sickness", "illness"]
        assert alternatives("hub") == []


class TestSentences:
    def test_abbreviations_and_decimals_end_no_sentence(self) -> None:
        text = "See e.g. section 1.5 of Mr. Vrba. It costs 3.50 euro! Does it? J. Doe said so."
        assert [piece for _, piece in split_paragraph(text)] == [
            "See e.g. section 1.5 of Mr. Vrba.",
            "It costs 3.50 euro!",
            "Does it?",
            "J. Doe said so.",
        ]

    def test_lines_headings_and_items_are_kept_apart(self) -> None:
        text = (
            "# Title\n\nFirst line\ngoes on. Second\nsentence.\n\n## Part *two*\n- item one\n  or"
        )
        found = split_document(Document(text=text, first_line=1))
        assert [(s.text, s.line, s.heading) for s in found] == [
            ("First line goes on.", 3, "Title"),
            ("Second sentence.", 4, "Title"),
            ("item one or", 8, "Part two"),
        ]
        assert found[1].previous == "First line goes on."

    def test_lines_start_where_the_document_does(self) -> None:
        assert split_document(Document(text="a b", first_line=40))[0].line == 40
        assert split_document(Document(text="a b"))[0].line is None

    def test_capitals_and_bold_lines_are_headings(self) -> None:
        text = "WORKING TIME\n\nIt is long.\n\n**Pay**\n\nIt is good.\n\nSICKNESS\nCall us."
        assert [s.heading for s in split_document(Document(text=text))] == [
            "Working time", "Pay", "Sickness",
        ]  # fmt: skip

    def test_tables_become_rows_with_their_columns(self) -> None:
        text = "| Article | Price |  Stock |\n| --- | ---: | --- |\n| HF | 4.50 | 3 |\n| HG | | 1 |"
        first, second = split_document(Document(text=text))
        assert first.text == "Article: HF; Price: 4.50; Stock: 3"
        assert first.cells == (("Article", "HF"), ("Price", "4.50"), ("Stock", "3"))
        assert second.text == "HG: 1"
        assert texts("| a | b |\n| c | d |") == ["a: b", "c: d"]
        assert texts("| | |") == []
        assert texts("| H |\n|---|\n| a | b | c |") == ["H: a; b; c"]

    def test_markdown_is_taken_off(self) -> None:
        assert texts("**Note** the [price](http://x) of _this_ a_b.\n```\ncode here\n```") == [
            "Note the price of this a_b.",
            "code here",
        ]

    def test_endless_sentences_are_cut(self) -> None:
        assert max(map(len, texts("word " * 1000))) <= 600
        assert max(map(len, texts("x" * 2000))) <= 600

    def test_leaning_sentences_bring_the_one_before(self) -> None:
        found = split_document(Document(text="The hub is new. It weighs 268 g."))
        assert displayed(found[1]) == "The hub is new. It weighs 268 g."
        assert ended("No end") == "No end."
        long = split_document(Document(text="A. " + "It " + "is long " * 70 + "and ends."))
        assert all(len(displayed(sentence)) <= 850 for sentence in long)


class TestQuestions:
    def test_clauses_and_pairs_are_parts(self) -> None:
        facets = facets_of(
            "What notice period and penalty does the contract set, and what is the fee for €900?"
        )
        assert [facet.text for facet in facets] == [
            "What notice period does the contract set",
            "What penalty does the contract set",
            "what is the fee for €900",
        ]
        assert facets[0].search_words == "notice period contract"
        assert facets[2].search_words == "fee notice period penalty contract"

    def test_of_pairs_and_comparisons(self) -> None:
        pair = facets_of("What are the lead time and the price of the hub?")
        assert [facet.search_words for facet in pair] == ["lead time hub", "price hub"]
        sides = facets_of("Compare the payment terms of the contract and the price list")
        assert [facet.text for facet in sides] == [
            "Compare payment terms of contract",
            "Compare payment terms of price list",
        ]
        assert all(side.within and side.is_broad for side in sides)

    def test_what_is_unsaid_is_taken_from_before(self) -> None:
        first, second = facets_of("What caused the acid leak and what did it cost?")
        assert set(first.weights) < set(second.weights)
        assert second.weights[stem("cost")] > second.weights[stem("acid")]
        (alone,) = facets_of("And in Zurich?", "What is the hotel limit?")
        assert alone.search_words == "Zurich hotel limit"

    def test_times_sums_and_paths_are_no_parts(self) -> None:
        assert facets_of("What is today's date?") == []
        assert facets_of("What is 3 plus 4?") == []
        assert facets_of("Read notes/a.md and https://x.example/b") == []
        assert without_addresses("see a/b.md or http://x.example/y now").split() == [
            "see", "or", "now",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("question", "kind"),
        [
            ("When does it end?", "date"),
            ("By when is it due?", "date"),
            ("Who signed?", "person"),
            ("Which person signed?", "person"),
            ("Where is it?", "place"),
            ("Why did it leak?", "reason"),
            ("How much is it?", "number"),
            ("What must I do when I am ill?", "any"),
        ],
    )
    def test_kinds(self, question: str, kind: str) -> None:
        assert kind_of(question) == kind


class TestPrompts:
    @pytest.mark.parametrize(
        ("text", "question", "material"),
        [
            ("Summarise this: A b c.", "Summarise this", ["A b c."]),
            ("<file name='a.md'>A b.</file> What is it?", "What is it?", ["A b."]),
            (
                "<documents><document>A.</document><document>B.</document></documents>Compare",
                "Compare",
                ["A.", "B."],
            ),
            ("<context>never closed. Who?", "<context>never closed. Who?", []),
            ("Text:\n\nQuestion: Who?", "Who?", []),
            ("Explain:\n```python\nx = 1\n```", "Explain:", ["x = 1"]),
            ("An odd ``` fence. Who?", "An odd ``` fence. Who?", []),
        ],
    )
    def test_documents_are_taken_out(self, text: str, question: str, material: list[str]) -> None:
        turn = split_turn(text)
        assert turn.question.strip() == question
        assert [document.text.strip() for document in turn.documents] == material

    def test_hints_are_kept_apart(self) -> None:
        turn = split_turn("Task: Find hubs\nExpected output: two sentences")
        assert (turn.question.strip(), turn.hints) == ("Find hubs", "two sentences")

    def test_long_text_without_a_question_is_all_material(self) -> None:
        story = "The wind came from the west. " * 40
        turn = split_turn(story)
        assert turn.question == ""
        assert len(turn.documents) == 1

    def test_wishes_amid_a_text_belong_to_it(self) -> None:
        told = "The wind came from the west. Use a coat then. It rained a lot that day. " * 4
        turn = split_turn(f"{told}\n\nWhen did it rain?")
        assert turn.question == "When did it rain?"
        assert "Use a coat" in turn.documents[0].text
        mixed = split_turn(f"{told} Describe the weather.")
        assert mixed.question == "Describe the weather."

    def test_short_remarks_stay_with_the_question(self) -> None:
        text = "We order for 900 euro. " + "We are in a hurry. " * 6 + "What is the fee for all?"
        assert split_turn(text).question == text


class TestSums:
    @pytest.mark.parametrize(
        ("text", "expression", "value"),
        [
            ("what is 12.5% of 840 plus 3?", "840*12.5/100+3", "108"),
            ("Calculate (3 + 4) * 2 - 1", "(3+4)*2-1", "13"),
            ("what is 45,000 euro times 1.5 percent", "45000*1.5/100", "675"),
            ("15% off 80 euro", "(80-80*15/100)", "68"),
            ("add 19% to 250", "250+250*19/100", "297.5"),
            ("subtract 5 from 2k", "2000-5", "1995"),
            ("(1 + 2) plus 10%", "(1+2)+(1+2)*10/100", "3.3"),
            ("the product of 6 and 7?", "6*7", "42"),
            ("square root of 144 plus 2 squared", "(144)**0.5+2**2", "16"),
            ("3 cubed", "3**3", "27"),
            ("2^10", "2**10", "1024"),
            ("half of 90", "90/2", "45"),
            ("-5 + 3", "-5+3", "-2"),
            ("2 million divided by 4", "2000000/4", "500000"),
        ],
    )
    def test_sums_are_read_and_worked_out(self, text: str, expression: str, value: str) -> None:
        assert expressions(text) == [expression]
        assert work_out(expression) == value

    @pytest.mark.parametrize(
        "text",
        [
            "on 2024-05-01 at 10:30",
            "10-12 people came",
            "HF-2 and 3",
            "What is the penalty for 45,000 euro?",
            "7 (5",
            "2+",
            "12 times",
            "( 1",
            "(" * 1900 + "1 + 1",
        ],
    )
    def test_other_numbers_are_no_sums(self, text: str) -> None:
        assert expressions(text) == []

    @pytest.mark.parametrize("expression", ["1/0", "9**9**9**9", "9e999", "x + 1", "1 <", "1 < 2"])
    def test_what_has_no_value_gives_none(self, expression: str) -> None:
        assert work_out(expression) is None


class TestQuantities:
    def test_amounts_counts_and_nothing_else(self) -> None:
        text = "On 3 May 2025, 40 hubs HF-2 for €45k, 7 % and two weeks at 10:00, one of 5 euro"
        assert quantities(text) == [
            Quantity(value=40, unit="hubs"),
            Quantity(value=45_000, currency="euro"),
            Quantity(value=2, unit="weeks"),
            Quantity(value=5, currency="euro"),
        ]
        assert without_quantities("fee for a 45,000 euro order of €3").split() == [
            "fee", "for", "a", "order", "of",
        ]  # fmt: skip

    def test_shares_and_rates(self) -> None:
        assert shares("A fee of 1.5 percent for each full week, at most 9 %.") == [
            Share(percent=1.5, each="week"),
            Share(percent=9.0, is_cap=True),
        ]
        found = rates("48 euro per day in Denmark and €62 a day abroad, 5 per box")
        assert [(rate.value, rate.unit, rate.about.strip()) for rate in found] == [
            (48, "day", "in Denmark and"),
            (62, "day", "abroad,"),
        ]

    def test_numbers_for_people(self) -> None:
        assert [readable_number(n) for n in (3375, 0.36, 115.2, 1 / 3)] == [
            "3,375", "0.36", "115.20", "0.3333",
        ]  # fmt: skip


class TestDeriving:
    @staticmethod
    def expressions(question: str, text: str) -> list[str]:
        corpus = Corpus([Document(text=text)])
        return [derivation.expression for derivation in derive(facets_of(question), corpus)]

    def test_prices_of_rows_need_the_row_to_be_named(self) -> None:
        table = (
            "| Product | Unit price | Weight |\n|---|---|---|\n"
            "| Rear hub | 92.00 | 268 g |\n| Front hub | on request | 150 g |"
        )
        assert self.expressions("How much do 10 rear hubs cost?", table) == ["10*92"]
        assert self.expressions("How much do 10 front hubs cost?", table) == []
        assert self.expressions("How much do 10 euro hubs cost?", table) == []
        assert self.expressions("How much do 10 hubs cost?", table) == []

    def test_limits_alone_are_worked_out_too(self) -> None:
        text = "The penalty is at most 5 percent of the order."
        assert self.expressions("What is the penalty for a 200 euro order?", text) == ["200*5/100"]

    def test_amounts_without_a_rule_give_nothing(self) -> None:
        text = "The penalty is agreed case by case."
        assert self.expressions("What is the penalty for a 200 euro order?", text) == []
        assert self.expressions("Is 200 euro high?", "A high share of 5 percent.") == []
