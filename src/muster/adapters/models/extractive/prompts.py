"""A user's turn taken apart into what is asked and the text that was handed over with it."""

import re
from dataclasses import dataclass, field

from muster.adapters.models.extractive.sentences import Document, split_paragraph

_TAGS = ("document", "documents", "context", "text", "file", "source", "article", "content", "data")
_OPEN_TAG = re.compile(rf"<({'|'.join(_TAGS)})(\s[^<>]{{0,300}})?>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"(?:title|name|path|source|url|href)=[\"']([^\"']{1,200})[\"']", re.IGNORECASE
)
_LABEL = re.compile(
    r"^\s{0,3}(?:#{1,6}\s+|\*\*)?([A-Za-z][\w '\u2019,()-]{1,90}?)(?:\*\*)?:(?:\*\*)?(?:\s+(.*))?$"
)
_MATERIAL = re.compile(
    r"\b(?:context|texts?|documents?|articles?|background|sources?|contents?|transcript|notes|"
    r"e-?mail|data|"
    r"excerpts?|passages?|paragraph|results?|knowledge|report|message|story|input|following|this|"
    r"below)\b",
    re.IGNORECASE,
)
_ASK = re.compile(
    r"^(?:(?:the|your|current|user|my)\s+)*(?:question|task|query|request|prompt|instructions?|"
    r"description|"
    r"assignment|goal)$",
    re.IGNORECASE,
)
_HINT = re.compile(
    r"\b(?:expected (?:output|criteria|result)|output format|format of|criteria|answer format|"
    r"format)\b",
    re.IGNORECASE,
)
_IMPERATIVE = re.compile(
    r"^(?:please\s+|now\s+|then\s+|can you\s+|could you\s+)*(?:summari[sz]e|shorten|condense|list|"
    r"find|tell|give|name|"
    r"show|check|calculate|compute|explain|describe|extract|answer|compare|what|which|who|whom|"
    r"whose|when|where|why|"
    r"how|is|are|was|were|does|do|did|can|must|may|should|write|translate|say|reply|respond|"
    r"identify|read|search|"
    r"look|report|quote|classify|analy[sz]e|review|use|based|according|using|return|draft|state)\b",
    re.IGNORECASE,
)
_LONG_QUESTION = 500
_LONG_REST = 160


@dataclass(slots=True)
class Turn:
    """What one turn asks, the documents in it, and the wishes about the answer's form."""

    question: str = ""
    documents: list[Document] = field(default_factory=list[Document])
    hints: str = ""


def split_turn(text: str, *, place: str = "your message") -> Turn:
    """Take a turn apart: tags, fences and labels mark documents, else a long text is one."""
    turn = Turn()
    rest = _take_tagged(text, turn, place)
    rest = _take_fenced(rest, turn, place)
    rest = _take_labelled(rest, turn, place)
    rest = rest.strip()
    if len(rest) <= _LONG_QUESTION and (turn.documents or len(rest) <= _LONG_REST):
        turn.question = rest
    else:
        _take_unmarked(rest, turn, place)
    return turn


def _add(turn: Turn, text: str, title: str) -> None:
    if text.strip():
        turn.documents.append(Document(text=text.strip("\n"), title=title))


def _take_tagged(text: str, turn: Turn, place: str) -> str:
    kept: list[str] = []
    lower = text.lower()
    at = 0
    while match := _OPEN_TAG.search(text, at):
        closing = f"</{match[1].lower()}>"
        end = lower.find(closing, match.end())
        if end < 0:
            break
        attribute = _ATTRIBUTE.search(match[2] or "")
        inner = Turn()
        content = text[match.end() : end]
        if match[1].lower() in {"documents", "context"} and _OPEN_TAG.search(content):
            content = _take_tagged(content, inner, place)
            turn.documents.extend(inner.documents)
        _add(turn, content, attribute[1] if attribute else place)
        kept.append(text[at : match.start()])
        at = end + len(closing)
    kept.append(text[at:])
    return "".join(kept)


def _take_fenced(text: str, turn: Turn, place: str) -> str:
    for fence in ("```", '"""'):
        parts = text.split(fence)
        if len(parts) % 2 == 0 or len(parts) == 1:
            continue
        for part in parts[1::2]:
            first, _, others = part.partition("\n")
            _add(turn, others if others and " " not in first.strip() else part, place)
        text = "\n".join(parts[0::2])
    return text


def _take_labelled(text: str, turn: Turn, place: str) -> str:
    asked: list[str] = []
    hints: list[str] = []
    material: list[str] = []
    current = asked
    for line in text.splitlines():
        match = _LABEL.match(line)
        label, rest = (match[1].strip(), match[2] or "") if match else ("", "")
        if label and _ASK.match(label):
            current = asked
            current.append(rest)
        elif label and _HINT.search(label) and len(label.split()) <= 12:  # noqa: PLR2004
            current = hints
            current.append(rest)
        elif label and current is not material and _MATERIAL.search(label):
            if _IMPERATIVE.match(label):
                asked.append(label)
            current = material
            current.append(rest)
        else:
            current.append(line)
    if material and not any(line.strip() for line in material):
        material = []
    _add(turn, "\n".join(material), place)
    turn.hints = "\n".join(hints).strip()
    return "\n".join(asked)


def _take_unmarked(rest: str, turn: Turn, place: str) -> None:
    """Tell questions and wishes from the text between them."""
    asked: list[str] = []
    told: list[str] = []
    asks_openly = "?" in rest
    for paragraph in re.split(r"\n\s*\n", rest):
        pieces = [piece for _, piece in split_paragraph(" ".join(paragraph.split("\n")))]
        wishes = [piece for piece in pieces if piece.endswith("?") or _IMPERATIVE.match(piece)]
        if wishes and len(wishes) * 2 >= len(pieces):
            asked.append(paragraph)
            continue
        # A sentence that begins like a wish in the midst of a text is part of the text.
        ends = {pieces[0], pieces[-1]} if pieces else set[str]()
        wishes = [w for w in wishes if w.endswith("?") or (not asks_openly and w in ends)]
        asked.extend(wishes)
        told.append("\n".join(piece for piece in pieces if piece not in set(wishes)))
    told_text = "\n\n".join(told)
    if asked and len(told_text) >= _LONG_REST:
        turn.question = "\n".join(asked)
        _add(turn, told_text, place)
    elif asked or len(rest) <= _LONG_QUESTION:
        turn.question = rest
    else:
        _add(turn, rest, place)
