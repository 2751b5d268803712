"""Documents cut into sentences that know their line, their heading and, in tables, their cells."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from muster.adapters.models.extractive.words import word_set

_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)[\s#]*$")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_TABLE_RULE = re.compile(r"^\s*\|?[\s:|-]*-[\s:|-]*\|?\s*$")
_BOUNDARY = re.compile(r"[.!?…][\"')\]*_”]{0,3}\s+(?=[\"'(\[*_“]{0,3}[^\W_])")
_LINK = re.compile(r"!?\[([^\]\n]{0,300})\]\([^)\s]{0,500}\)")
_EMPHASIS = re.compile(r"(\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w))")
_BEFORE_DOT = re.compile(r"([^\W_]+(?:\.[^\W_]+)*)\.$")
_ABBREVIATIONS = word_set(
    """
    e.g i.e etc cf vs no nos nr art sec fig al approx ca mr mrs ms dr prof st inc ltd co
    """
)
_LONGEST = 600
_LONGEST_HEADING = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Text to answer from.

    `location` is its path or URL, `first_line` the line it starts on there, None where that is not
    known; `partial` says that the rest was not given, `is_opened` that this is a
    file or page that was opened and no excerpt from a search.
    """

    text: str
    title: str = ""
    location: str = ""
    first_line: int | None = None
    partial: bool = False
    is_opened: bool = False

    @property
    def label(self) -> str:
        return self.location or self.title or "the given text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence, list item or table row. `cells` holds (column, value) of a table row."""

    text: str
    document: Document
    line: int | None = None
    heading: str = ""
    previous: str = ""
    cells: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Block:
    lines: list[str]
    first: int


def split_document(document: Document) -> list[Sentence]:
    """Return the sentences of `document` in order."""
    return list(_Splitter(document).run())


def plain(text: str) -> str:
    """Return `text` without Markdown's emphasis and links."""
    if "[" in text:
        text = _LINK.sub(r"\1", text)
    if "*" in text or "_" in text:
        text = _EMPHASIS.sub("", text)
    return text.strip()


def split_paragraph(text: str) -> list[tuple[int, str]]:
    """Return the sentences of one paragraph, each with its offset."""
    found: list[tuple[int, str]] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if text[match.start()] == "." and _is_abbreviation(
            text[max(0, match.start() - 20) : match.start() + 1]
        ):
            continue
        found.extend(_pieces(text, start, match.end()))
        start = match.end()
    found.extend(_pieces(text, start, len(text)))
    return found


def _is_abbreviation(before: str) -> bool:
    match = _BEFORE_DOT.search(before)
    if match is None:
        return False
    word = match.group(1)
    return word.lower() in _ABBREVIATIONS or (len(word) == 1 and word.isalpha())


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    while end - start > _LONGEST:
        cut = text.rfind(" ", start + 1, start + _LONGEST)
        cut = cut if cut > start else start + _LONGEST
        yield start, text[start:cut].strip()
        start = cut
    piece = text[start:end].strip()
    if piece:
        yield start, piece


class _Splitter:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.lines = document.text.splitlines()
        self.heading = ""
        self.block: _Block | None = None
        self.columns: list[str] | None = None

    def run(self) -> Iterator[Sentence]:
        for number, line in enumerate(self.lines):
            bare = line.strip()
            if bare.startswith("|"):
                yield from self._flush()
                yield from self._table_row(number, bare)
                continue
            self.columns = None
            heading = self._heading_of(line, bare)
            if heading is not None:
                yield from self._flush()
                self.heading = heading
            elif not bare or bare.startswith("```"):
                yield from self._flush()
            elif item := _ITEM.match(line):
                yield from self._flush()
                self.block = _Block([line[item.end() :].strip()], number)
            elif self.block is None:
                self.block = _Block([bare], number)
            else:
                self.block.lines.append(bare)
        yield from self._flush()

    def _heading_of(self, line: str, bare: str) -> str | None:
        if match := _HEADING.match(line):
            return plain(match.group(1))
        if len(bare) > _LONGEST_HEADING:
            return None
        if bare.startswith("**") and bare.endswith("**") and len(bare) > len("****"):
            return plain(bare)
        if bare.isupper() and " " in bare and bare[-1] not in ".!?;,":
            return bare.capitalize()
        if bare.isupper() and bare.isalpha() and len(bare) > len("ABC"):
            return bare.capitalize()
        return None

    def _line(self, number: int) -> int | None:
        first = self.document.first_line
        return None if first is None else first + number

    def _flush(self) -> Iterator[Sentence]:
        block, self.block = self.block, None
        if block is None:
            return
        starts: list[int] = []
        length = 0
        for line in block.lines:
            starts.append(length)
            length += len(line) + 1
        previous = ""
        row = 0
        for offset, text in split_paragraph(" ".join(block.lines)):
            while row + 1 < len(starts) and starts[row + 1] <= offset:
                row += 1
            cleaned = plain(text)
            if cleaned:
                yield Sentence(
                    text=cleaned,
                    document=self.document,
                    line=self._line(block.first + row),
                    heading=self.heading,
                    previous=previous,
                )
                previous = cleaned

    def _table_row(self, number: int, bare: str) -> Iterator[Sentence]:
        if _TABLE_RULE.match(bare):
            return
        values = [plain(cell) for cell in bare.strip("|").split("|")]
        following = self.lines[number + 1].strip() if number + 1 < len(self.lines) else ""
        if self.columns is None:
            self.columns = []
            if following.startswith("|") and _TABLE_RULE.match(following):
                self.columns = values
                return
        cells = tuple(
            (self.columns[index] if index < len(self.columns) else "", value)
            for index, value in enumerate(values)
            if value
        )
        if cells:
            yield Sentence(
                text=_row_text(cells),
                document=self.document,
                line=self._line(number),
                heading=self.heading,
                cells=cells,
            )


def _row_text(cells: tuple[tuple[str, str], ...]) -> str:
    values = [value for _, value in cells]
    if len(cells) == 2:  # noqa: PLR2004 a table of names and values
        return f"{values[0]}: {values[1]}"
    return "; ".join(f"{column}: {value}" if column else value for column, value in cells)
