"""The built-in model: choose tools, extract sentences, say where they are from."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from muster.adapters.models.base import (
    ModelFailed,
    ModelReply,
    ModelRequest,
    StreamEvent,
    TextDelta,
    ToolCall,
    Usage,
)
from muster.adapters.models.extractive import MODEL, PROVIDER
from muster.adapters.models.extractive.answering import (
    answer,
    failure_notes,
    looked_at,
)
from muster.adapters.models.extractive.arithmetic import expressions
from muster.adapters.models.extractive.choosing import Choice, choose
from muster.adapters.models.extractive.evidence import Evidence
from muster.adapters.models.extractive.questions import asks_time, facets_of
from muster.adapters.models.extractive.ranking import Corpus
from muster.adapters.models.extractive.reading import Conversation, read_conversation
from muster.adapters.models.extractive.smalltalk import nothing_to_say, small_talk
from muster.adapters.models.extractive.structured import SchemaUnfillable, fill_schema
from muster.adapters.models.extractive.summarising import summarise, wants_summary
from muster.adapters.models.extractive.toolkinds import tool_of

_CHARACTERS_A_TOKEN = 4
_WORDS_A_PIECE = 4
_THREAD_FROM = 20_000


class ExtractiveModel:
    """A `ChatModel` without weights and without network. The same request gives the same reply.

    Of the settings it heeds `max_tokens` and `stop_sequences`; there is no chance in it that the
    others could steer.
    """

    async def request(self, request: ModelRequest) -> ModelReply:
        """Answer at once; long material is worked on in a thread."""
        if sum(len(message.content) for message in request.messages) < _THREAD_FROM:
            return reply_to(request)
        return await asyncio.to_thread(reply_to, request)

    async def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """Yield the answer in groups of words, then the whole reply."""
        reply = await self.request(request)
        for piece in pieces_of(reply.content):
            yield TextDelta(text=piece)
            await asyncio.sleep(0)
        yield reply


def pieces_of(text: str) -> list[str]:
    """Cut a text into groups of words that together are the text."""
    words = re.findall(r"\s*\S+|\s+\Z", text)
    return [
        "".join(words[start : start + _WORDS_A_PIECE])
        for start in range(0, len(words), _WORDS_A_PIECE)
    ]


def reply_to(request: ModelRequest) -> ModelReply:
    """Return the reply to a request."""
    conversation = read_conversation(request.messages)
    facets = facets_of(conversation.question, conversation.earlier_question)
    corpus = Corpus(conversation.material)
    talk = small_talk(conversation.question, request.tools)
    if talk is None or conversation.documents:
        choices = choose(conversation, facets, corpus, request.tools)
        if choices:
            return _reply(request, "", calls=_calls(choices, conversation))
    is_talk = talk is not None and bool(conversation.question)
    if corpus.sentences and not is_talk and _wants_all(conversation):
        text = summarise(conversation, corpus)
    elif talk is not None:
        text = talk
    else:
        has_calculator = any(tool_of(spec).purpose == "calculate" for spec in request.tools)
        text = answer(conversation, facets, corpus, has_calculator=has_calculator)
    if not text and conversation.documents and not conversation.question.rstrip().endswith("?"):
        text = summarise(conversation, corpus)
    found = text
    if not text:
        text = nothing_to_say(
            conversation.question, looked_at(conversation), failure_notes(conversation)
        )
    if request.output_schema is not None:
        return _structured(request, request.output_schema, conversation, corpus, found or text)
    return _cut(request, text)


def _wants_all(conversation: Conversation) -> bool:
    """Tell whether a summary is asked for or a document as a whole: "What is in notes.md?"."""
    question = conversation.question
    if wants_summary(question):
        return True
    asks_part = facets_of(question, conversation.earlier_question) or expressions(question)
    return not asks_part and not asks_time(question)


def _structured(
    request: ModelRequest,
    schema: dict[str, Any],
    conversation: Conversation,
    corpus: Corpus,
    text: str,
) -> ModelReply:
    prose, _, listing = text.partition("\n\nSources:\n")
    prose = re.sub(r" \[\d+\]|\*\*|`", "", prose)
    sources = [
        line[line.index("]") + 2 :] for line in listing.splitlines() if line.startswith("- [")
    ]
    try:
        value = fill_schema(
            schema,
            Evidence(question=conversation.question, answer=prose, corpus=corpus, sources=sources),
        )
    except SchemaUnfillable as error:
        raise ModelFailed(
            "The built-in model found no value that fits the output schema. Loosen its patterns "
            "or choose "
            "a language model."
        ) from error
    return _reply(request, json.dumps(value, ensure_ascii=False))


def _calls(choices: Sequence[Choice], conversation: Conversation) -> tuple[ToolCall, ...]:
    made = len(conversation.exchanges)
    return tuple(
        ToolCall(
            id=_call_id(conversation.question, choice, made + number),
            name=choice.name,
            arguments=choice.arguments,
        )
        for number, choice in enumerate(choices)
    )


def _call_id(question: str, choice: Choice, number: int) -> str:
    text = json.dumps(
        [question, choice.name, choice.arguments, number], sort_keys=True, default=str
    )
    return f"call_{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def _cut(request: ModelRequest, text: str) -> ModelReply:
    for stop in request.settings.get("stop_sequences") or ():
        if isinstance(stop, str) and stop:
            text = text.partition(stop)[0]
    most = request.settings.get("max_tokens")
    if isinstance(most, int) and len(text) > most * _CHARACTERS_A_TOKEN:
        return _reply(request, text[: most * _CHARACTERS_A_TOKEN], finish_reason="length")
    return _reply(request, text)


def _reply(
    request: ModelRequest,
    content: str,
    *,
    calls: tuple[ToolCall, ...] = (),
    finish_reason: str = "stop",
) -> ModelReply:
    asked = sum(
        len(m.content) + sum(len(c.name) + len(str(c.arguments)) for c in m.tool_calls)
        for m in request.messages
    )
    asked += sum(len(t.name) + len(t.description) + len(str(t.parameters)) for t in request.tools)
    written = len(content) + sum(
        len(c.name) + len(json.dumps(c.arguments, default=str)) for c in calls
    )
    return ModelReply(
        content=content,
        tool_calls=calls,
        usage=Usage(input_tokens=_tokens(asked), output_tokens=_tokens(written)),
        model=MODEL,
        provider=PROVIDER,
        finish_reason="tool_calls" if calls else finish_reason,
        cost=0.0,
    )


def _tokens(characters: int) -> int:
    return -(-characters // _CHARACTERS_A_TOKEN)
