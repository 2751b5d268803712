"""A conversation read for what the model works with: question, material, calls so far."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from muster.adapters.models.base import Message
from muster.adapters.models.extractive.prompts import split_turn
from muster.adapters.models.extractive.results import Findings, failure_of, findings_of, parse_json
from muster.adapters.models.extractive.sentences import Document


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One tool call and what came back; `failure` is why it did not work, else None."""

    name: str
    arguments: dict[str, Any]
    result: Any
    findings: Findings
    failure: str | None
    is_recent: bool

    @property
    def key(self) -> str:
        return call_key(self.name, self.arguments)


@dataclass(slots=True, kw_only=True)
class Conversation:
    """What was asked and what is known.

    `handed_over` are the documents that came with the last question, `rounds` counts the rounds of
    calls made for it.
    """

    question: str
    earlier_question: str
    role: str
    hints: str
    documents: list[Document] = field(default_factory=list[Document])
    handed_over: list[Document] = field(default_factory=list[Document])
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    rounds: int = 0

    @property
    def material(self) -> list[Document]:
        """All documents: those of the prompt and those of the tools, each text once.

        What was read in full stands before the excerpts of it that a search returned.
        """
        gathered = [d for exchange in self.exchanges for d in exchange.findings.documents]
        whole = {d.location for d in gathered if d.is_opened and not d.partial}
        kept = [d for d in gathered if d.location not in whole or d.is_opened]
        seen: set[tuple[str, str]] = set()
        unique: list[Document] = []
        for document in [*self.documents, *kept]:
            mark = (document.location, document.text)
            if mark not in seen:
                seen.add(mark)
                unique.append(document)
        return unique


def call_key(name: str, arguments: dict[str, Any]) -> str:
    """Return what tells two calls apart."""
    return f"{name} {json.dumps(arguments, sort_keys=True, default=str)}"


def read_conversation(messages: Sequence[Message]) -> Conversation:
    """Read all turns; the question is the last user turn that asks something."""
    users = [index for index, message in enumerate(messages) if message.role == "user"]
    last = users[-1] if users else -1
    conversation = Conversation(question="", earlier_question="", role="", hints="")
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    system_turn = split_turn(system, place="the instructions")
    conversation.role = system_turn.question or system
    conversation.hints = system_turn.hints
    if "<" in system or "```" in system:
        conversation.documents.extend(system_turn.documents)
    for index in users:
        turn = split_turn(messages[index].content)
        conversation.documents.extend(turn.documents)
        if index == last:
            conversation.handed_over = turn.documents
            conversation.hints = f"{conversation.hints}\n{turn.hints}".strip()
        if turn.question:
            conversation.earlier_question = conversation.question
            conversation.question = turn.question
    _read_exchanges(messages, last, conversation)
    return conversation


def _read_exchanges(messages: Sequence[Message], last: int, conversation: Conversation) -> None:
    answers = {m.tool_call_id: m.content for m in messages if m.role == "tool" and m.tool_call_id}
    for index, message in enumerate(messages):
        if message.role != "assistant" or not message.tool_calls:
            continue
        conversation.rounds += index > last
        for call in message.tool_calls:
            text = answers.get(call.id)
            result = None if text is None else parse_json(text)
            failure = "it gave no result" if text is None else failure_of(result)
            findings = Findings() if failure else findings_of(result, call.arguments)
            conversation.exchanges.append(
                Exchange(
                    name=call.name,
                    arguments=call.arguments,
                    result=result,
                    findings=findings,
                    failure=failure,
                    is_recent=index > last,
                )
            )
