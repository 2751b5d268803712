"""Tool results of any shape read for documents, calculations, times and failures."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from muster.adapters.models.extractive.sentences import Document
from muster.adapters.models.extractive.words import word_set

_LOCATIONS = (
    "path",
    "file",
    "file_path",
    "filename",
    "url",
    "uri",
    "link",
    "href",
    "source",
    "document",
    "location",
)
_TITLES = ("title", "document_title", "document_name", "name", "heading", "subject")
_LINES = ("line", "line_number", "start_line", "first_line", "line_start", "lineno")
_TEXTS = (
    "content", "text", "markdown", "body", "snippet", "excerpt", "passage", "page_content",
    "chunk", "summary",
    "abstract", "description", "answer", "output", "message", "result", "response",
)  # fmt: skip
_NOISE = word_set(
    "score rank offset limit has_more next_cursor truncated total_lines end_line hash unix"
)
_FILE_FACTS = word_set("bytes size type mime_type modified_at created_at updated_at id")
_NAMES = frozenset((*_LOCATIONS, *_TITLES))
_FAILED_STATUSES = word_set("error failed refused denied blocked rejected")
_FIRST_ERROR_STATUS = 400
_LONG_TEXT = 60
_LONGEST_NAME = 400
_DEEPEST = 40
_FAILURE_TEXT = re.compile(
    r"^\W*(?:error|failed|failure|refused|denied|blocked|forbidden|rejected|not allowed|"
    r"permission|time(?:d)? ?out|"
    r"exception|traceback|cannot|could not|unable|no such|there is no (?:file|folder|such|time "
    r"zone|tool)|not found|unknown tool|invalid|"
    r"(?:the )?(?:tool|call|step|request)\b.{0,60}\b(?:failed|refused|denied|blocked|rejected|not "
    r"allowed))\b",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"refus|denied|forbid|block|polic|not allowed|permission|budget|reject|approv", re.IGNORECASE
)
_LONGEST_FAILURE = 500


@dataclass(slots=True)
class Findings:
    """What one result holds: documents, calculations done, the time, and the hits of a search."""

    documents: list[Document] = field(default_factory=list[Document])
    calculations: dict[str, str] = field(default_factory=dict[str, str])
    moment: dict[str, str] = field(default_factory=dict[str, str])
    listed: list[str] = field(default_factory=list[str])


def parse_json(text: str) -> Any:
    """Return the JSON value of `text`, or the text itself where it is none."""
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def is_refusal(failure: str) -> bool:
    """Tell whether a call was refused, so that another try of the tool is useless."""
    return _REFUSAL.search(failure) is not None


def failure_of(result: Any) -> str | None:
    """Return why the call failed, None when it did not."""
    if isinstance(result, str):
        text = result.strip()
        if len(text) <= _LONGEST_FAILURE and _FAILURE_TEXT.match(text):
            return _one_line(text)
        return None
    if not isinstance(result, dict):
        return None
    values = cast("dict[str, Any]", result)
    return _reason(values) if _says_it_failed(values) else None


def _says_it_failed(values: Mapping[str, Any]) -> bool:
    status = values.get("status")
    if isinstance(status, int) and ("detail" in values or "title" in values):
        return status >= _FIRST_ERROR_STATUS
    return (
        bool(values.get("error"))
        or str(status).lower() in _FAILED_STATUSES
        or values.get("is_error") is True
        or values.get("ok") is False
        or values.get("success") is False
    )


def _reason(values: Mapping[str, Any]) -> str:
    error = values.get("error")
    if isinstance(error, dict):
        return _reason(cast("dict[str, Any]", error))
    for key in ("detail", "message", "reason", "content", "text", "error", "title"):
        value = values.get(key)
        if isinstance(value, str) and value.strip():
            return _one_line(value)
    return "it failed without a reason"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return re.sub(r"^(?:error|failed|failure)\s*:\s*", "", line, flags=re.IGNORECASE)[:240].rstrip(
        "."
    )


def findings_of(result: Any, arguments: Mapping[str, Any]) -> Findings:
    """Walk a result. `arguments` names the document where the result does not."""
    findings = Findings()
    given = _first_text(arguments, _LOCATIONS)
    _Walker(findings).walk(result, location=given, title="")
    return findings


def _first_text(values: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and _is_text(value) and "\n" not in value:
            return value.strip()[:_LONGEST_NAME]
    return ""


class _Walker:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def walk(self, value: Any, *, location: str, title: str, depth: int = 0) -> None:
        if depth > _DEEPEST:
            return
        if isinstance(value, dict):
            self._walk_object(cast("dict[str, Any]", value), location, title, depth)
        elif isinstance(value, list):
            self._walk_list(cast("list[Any]", value), location, title, depth)
        elif isinstance(value, str):
            is_file = depth == 0 and _is_path(location)
            first_line = 1 if is_file else None
            self._add(value, location, title, first_line=first_line, is_opened=is_file)
        elif value is not None:
            self._add(str(value), location, title)

    def _walk_list(self, values: list[Any], location: str, title: str, depth: int) -> None:
        for value in values:
            if isinstance(value, str) and _is_name(value):
                self.findings.listed.append(value)
            else:
                self.walk(value, location=location, title=title, depth=depth + 1)

    def _walk_object(self, values: dict[str, Any], location: str, title: str, depth: int) -> None:
        if "expression" in values and isinstance(values.get("result"), (int, float, str)):
            self.findings.calculations[str(values["expression"])] = str(values["result"])
            return
        if "now" in values and isinstance(values["now"], str):
            self.findings.moment = {key: str(value) for key, value in values.items()}
            return
        location = _first_text(values, _LOCATIONS) or location
        title = _first_text(values, _TITLES) or title
        main = next((key for key in _TEXTS if _is_text(values.get(key))), "")
        if main:
            line = next((values[k] for k in _LINES if isinstance(values.get(k), int)), None)
            # A file's content starts on its first line; a page or an excerpt has no lines.
            is_file = main == "content" and line is None and _is_path(location)
            is_page = main in {"content", "markdown"} and line is None and "://" in location
            self._add(
                values[main],
                location,
                title,
                first_line=1 if is_file else line,
                partial=values.get("truncated") is True,
                is_opened=is_file or is_page,
            )
        facts: dict[str, str] = {}
        for key, value in values.items():
            if isinstance(value, (dict, list)):
                self.walk(value, location=location, title=title, depth=depth + 1)
            elif isinstance(value, str) and len(value) > _LONG_TEXT and key not in {main, *_NAMES}:
                self._add(value, location, title)
            elif key not in _NOISE and key not in _LINES and value not in {None, ""}:
                facts[key] = f"{key.replace('_', ' ')}: {value}"
        if not main:
            self._add_facts(facts, values, location, title)

    def _add_facts(
        self, facts: Mapping[str, str], values: Mapping[str, Any], location: str, title: str
    ) -> None:
        if location and facts.keys() <= _NAMES | _FILE_FACTS:
            self.findings.listed.append(location)
        elif not any(isinstance(value, list) for value in values.values()):
            self._add("; ".join(facts.values()), location, title)

    def _add(self, text: str, location: str, title: str, **facts: Any) -> None:
        if text.strip():
            document = Document(text=text, location=location, title=title, **facts)
            self.findings.documents.append(document)


def _is_path(location: str) -> bool:
    return bool(location) and "://" not in location


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_name(text: str) -> bool:
    """Tell whether an entry of a list is a file's name and not a text."""
    return len(text) < _LONGEST_NAME and " " not in text.strip() and ("." in text or "/" in text)
