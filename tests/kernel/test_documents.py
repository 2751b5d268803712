"""Texts of definitions: plain values with their places, and what is refused with its place."""

from typing import Any

import pytest

from muster.kernel.documents import Document, DocumentBroken, read_document, require_plain

TEXT = """\
# A comment.
name: Desk
tasks:
  - {name: one, at: 12:30, on: 2026-01-02}
  - name: two
    yes: [no, 1, 1.5, "5", null]
"""


def test_values_are_plain_and_know_where_they_stand() -> None:
    document = read_document(TEXT)
    assert document.value == {
        "name": "Desk",
        "tasks": [
            {"name": "one", "at": "12:30", "on": "2026-01-02"},
            {"name": "two", "yes": [False, 1, 1.5, "5", None]},
        ],
    }
    assert document.place(("name",)) == (2, 1)
    assert document.place(("tasks", "1", "yes", "2")) == (6, 18)
    assert document.place(("tasks", "1", "no such key", "0")) == (5, 5)
    assert document.place(("nothing",)) == (2, 1)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_nothing_is_nothing(text: str) -> None:
    assert read_document(text).value is None
    assert Document().place(("a",)) is None


def test_json_is_read_as_json() -> None:
    document = read_document('{"a": 1e5, "b": "\\/",\n "c": [{}]}')
    assert document.value == {"a": 1e5, "b": "/", "c": [{}]}
    document = read_document('{"a": 1e5,\n "c": [{}]}')
    assert (document.value["a"], document.place(("c",))) == (100_000.0, (2, 2))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "line 2, column 1: did not find expected node content."),
        ("a: {b} c", "line 1, column 8: did not find expected key"),
        ("a: 1\na: 2", "line 2, column 1: The key 'a' is given twice."),
        ("a: &x 1\nb: *x", "line 2, column 4: Aliases"),
        ("a: !!binary aGk=", "line 1, column 4: Tags are not allowed"),
        ("a: !!set {b}", "line 1, column 4: Tags are not allowed"),
        ("a: !local [b]", "line 1, column 4: Tags are not allowed"),
        ("? [a]\n: b", "line 1, column 3: A key must be a plain text."),
        ("a: .inf", "line 1, column 4: Numbers must be finite."),
        ('a: "\\0"', "line 1, column 4: NUL"),
        (f"a: {2**63}", "line 1, column 4: A number is too large."),
        ("a: b\n---\nc: d", "line 2, column 1: There may be one document only."),
        ("a:\n  b: \x07", "line 2, column 6: The text holds characters"),
        ("[" * 60, "line 1, column 52: It is nested more than 50 levels deep."),
        ("- a\n" * 60_000, "line 50000, column 3: It may have 50000 values."),
        ("é" * 500_001, "It may have 1000000 bytes."),
    ],
)
def test_what_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(DocumentBroken) as broken:
        read_document(text)
    assert broken.value.text.startswith(said)


@pytest.mark.parametrize("value", [float("nan"), "\ud800", {1: 2}, object(), [["\0"]], 2**64])
def test_values_that_no_text_could_say(value: Any) -> None:
    with pytest.raises(DocumentBroken) as broken:
        require_plain(value)
    assert broken.value.line is None
    require_plain({"a": [1, 1.5, "b", None, True]})
