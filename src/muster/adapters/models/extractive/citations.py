"""Numbered citations and the list of sources at the end of an answer."""

from muster.adapters.models.extractive.sentences import Document, Sentence, plain

_MOST_LINES = 8


class Citations:
    """Numbers sources in the order in which they are first cited."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._documents: dict[str, Document] = {}
        self._lines: dict[str, set[int]] = {}

    def cite(self, sentence: Sentence) -> str:
        """Return the mark of the sentence's source: `[1]`."""
        label = sentence.document.label
        number = self._numbers.setdefault(label, len(self._numbers) + 1)
        self._documents.setdefault(label, sentence.document)
        lines = self._lines.setdefault(label, set())
        if sentence.line is not None:
            lines.add(sentence.line)
        return f"[{number}]"

    def labels(self) -> list[str]:
        """Return the cited sources' names in order."""
        return list(self._numbers)

    def listing(self) -> str:
        """Return the list of sources as Markdown, "" when nothing was cited."""
        if not self._numbers:
            return ""
        return "\n".join(["Sources:", "", *(self._entry(label) for label in self._numbers)])

    def _entry(self, label: str) -> str:
        document = self._documents[label]
        lines = sorted(self._lines[label])
        where = ""
        if lines:
            listed = ", ".join(str(line) for line in lines[:_MOST_LINES])
            where = f", line{'s' if len(lines) > 1 else ''} {listed}"
        title = _title_of(document)
        named = f" ({title})" if title and title not in label else ""
        partly = "; only a part of it was read" if document.partial else ""
        return f"- [{self._numbers[label]}] {label}{where}{named}{partly}"


def _title_of(document: Document) -> str:
    if document.location and document.title:
        return document.title
    first = document.text.lstrip()[:200].split("\n", 1)[0]
    return plain(first.lstrip("# ")) if first.startswith("# ") else ""
