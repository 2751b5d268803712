"""Which tools to call next: a fixed order of tries, each call at most once, a bounded number."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.adapters.models.base import ToolSpec
from muster.adapters.models.extractive.addresses import PATH, URL
from muster.adapters.models.extractive.arguments import Given, fill
from muster.adapters.models.extractive.arithmetic import expressions
from muster.adapters.models.extractive.deriving import derive
from muster.adapters.models.extractive.naming import arguments_of_asking, is_asked_for
from muster.adapters.models.extractive.places import by_name, promising
from muster.adapters.models.extractive.questions import Facet, asks_time
from muster.adapters.models.extractive.ranking import ENOUGH, Corpus
from muster.adapters.models.extractive.reading import Conversation, Exchange, call_key
from muster.adapters.models.extractive.results import is_refusal
from muster.adapters.models.extractive.summarising import wants_summary
from muster.adapters.models.extractive.toolkinds import (
    Purpose,
    Tool,
    tool_of,
)
from muster.adapters.models.extractive.words import (
    alternatives,
)

MOST_ROUNDS = 6
MOST_CALLS = 16
_MOST_FAILURES = 2
_MOST_QUERIES = 3
_MOST_READ = 3
_PLENTY = 0.6
_ALIKE = 0.6
_ASKS_WEB = re.compile(r"\b(?:web|internet|online|latest news)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A call to make."""

    name: str
    arguments: dict[str, Any]


def choose(
    conversation: Conversation, facets: Sequence[Facet], corpus: Corpus, specs: Sequence[ToolSpec]
) -> list[Choice]:
    """Return the calls to make now, none when enough was gathered or nothing more can be tried."""
    recent = [exchange for exchange in conversation.exchanges if exchange.is_recent]
    if not specs or not conversation.question:
        return []
    if conversation.rounds >= MOST_ROUNDS or len(recent) >= MOST_CALLS:
        return []
    chooser = _Chooser(conversation, facets, corpus, specs)
    for step in (chooser.first, chooser.follow, chooser.widen, chooser.work_out):
        calls = chooser.fresh(step())
        if calls:
            return calls[: MOST_CALLS - len(recent)]
    return []


class _Chooser:
    def __init__(
        self,
        conversation: Conversation,
        facets: Sequence[Facet],
        corpus: Corpus,
        specs: Sequence[ToolSpec],
    ) -> None:
        self.conversation = conversation
        self.question = conversation.question
        self.facets = facets
        self.corpus = corpus
        self.offered: dict[str, Tool] = {spec.name: tool_of(spec) for spec in specs}
        # The time of an earlier question is stale; every other call would give the same again.
        self.done = {
            exchange.key
            for exchange in conversation.exchanges
            if exchange.is_recent or self._purpose(exchange.name) != "clock"
        }
        dropped = self._dropped()
        self.tools = [tool for name, tool in self.offered.items() if name not in dropped]
        handed_over = "\n\n".join(document.text for document in conversation.documents)
        self.given = Given(question=self.question, text=handed_over[:20_000])

    def fresh(self, calls: Iterator[Choice]) -> list[Choice]:
        found: dict[str, Choice] = {}
        for call in calls:
            key = call_key(call.name, call.arguments)
            if key not in self.done:
                found.setdefault(key, call)
        return list(found.values())

    def first(self) -> Iterator[Choice]:
        """What the question itself asks for, only in the first round."""
        if self.conversation.rounds:
            return
        yield from self._told_by_question()
        named = list(self._named_places())
        yield from named
        if not named and not self._is_answered(_PLENTY):
            yield from self._search_all(["search"], self._queries())
            if _ASKS_WEB.search(self.question) or not self._of("search"):
                yield from self._search_all(["web_search"], self._queries())

    def follow(self) -> Iterator[Choice]:
        """Open what the searches found, the most promising first, another for each that failed."""
        opened = [e for e in self._exchanges("read", "fetch") if e.failure is None and e.is_recent]
        wanted = (1 if wants_summary(self.question) else _MOST_READ) - len(opened)
        if wanted <= 0 or (opened and not self._failed_last()):
            return
        searches = self._exchanges("search", "web_search")
        places = promising(searches, self.facets, self.corpus, self.question)
        for location in places[: wanted + len(self._exchanges("read", "fetch"))]:
            is_url = "://" in location
            yield from self._with("fetch" if is_url else "read", location)

    def widen(self) -> Iterator[Choice]:
        """Search for single words, then in the web, then list, as long as nothing was found."""
        if not self.facets:
            return
        opened = [e for e in self._exchanges("read", "fetch") if e.failure is None]
        if self._is_answered(ENOUGH) or (opened and wants_summary(self.question)):
            return
        searched = len(self._exchanges("search", "web_search"))
        words = sorted(
            {w for f in self.facets for w in f.search_words.split()}, key=lambda w: (-len(w), w)
        )
        if searched and searched < 2 * _MOST_QUERIES:
            others = [other for word in words for other in alternatives(word)]
            wider = self.fresh(self._search_all(["search"], [*words[:2], *others[:2]]))
            wider = wider or self.fresh(self._search_all(["web_search"], self._queries()))
            yield from wider
            if wider:
                return
        for tool in self._of("list"):
            yield from self._call(tool)
        listed = [name for e in self._exchanges("list") for name in e.findings.listed]
        tried = len(self._exchanges("read", "fetch"))
        for location in by_name(listed, self.question)[: max(0, _MOST_READ - tried)]:
            yield from self._with("read", location)

    def work_out(self) -> Iterator[Choice]:
        """Calculate what follows from the rules that were found."""
        for derivation in derive(self.facets, self.corpus):
            yield from self._with("calculate", derivation.expression)

    def _told_by_question(self) -> Iterator[Choice]:
        if asks_time(self.question):
            for tool in self._of("clock")[:1]:
                yield from self._call(tool)
        for expression in expressions(self.question)[:_MOST_QUERIES]:
            yield from self._with("calculate", expression)
        for tool in self._of("ask"):
            known = arguments_of_asking(tool, self.question)
            if known is not None:
                yield from self._call(tool, known)
        for tool in self._of("other"):
            if is_asked_for(tool, self.question):
                yield from self._call(tool)

    def _named_places(self) -> Iterator[Choice]:
        for url in URL.findall(self.question)[:_MOST_READ]:
            yield from self._with("fetch", url)
        without_urls = URL.sub(" ", self.question)
        for path in PATH.findall(without_urls)[:_MOST_READ]:
            yield from self._with("read", path)

    def _queries(self) -> list[str]:
        found: list[str] = []
        seen: list[set[str]] = []
        for facet in self.facets:
            query = facet.search_words
            words = set(query.lower().split())
            if not words or any(_likeness(words, other) > _ALIKE for other in seen):
                continue
            seen.append(words)
            found.append(query)
        return found[:_MOST_QUERIES]

    def _search_all(self, purposes: Sequence[Purpose], queries: Sequence[str]) -> Iterator[Choice]:
        for purpose in purposes:
            for tool in self._of(purpose)[:2]:
                for query in queries:
                    yield from self._call(tool, {tool.parameter: query})

    def _with(self, purpose: Purpose, value: str) -> Iterator[Choice]:
        for tool in self._of(purpose)[:1]:
            yield from self._call(tool, {tool.parameter: value})

    def _call(self, tool: Tool, known: Mapping[str, Any] | None = None) -> Iterator[Choice]:
        arguments = fill(tool.spec, self.given, known)
        if arguments is not None:
            yield Choice(name=tool.name, arguments=arguments)

    def _of(self, purpose: Purpose) -> list[Tool]:
        return [tool for tool in self.tools if tool.purpose == purpose]

    def _purpose(self, name: str) -> Purpose:
        return self.offered[name].purpose if name in self.offered else "other"

    def _exchanges(self, *purposes: Purpose) -> list[Exchange]:
        return [e for e in self.conversation.exchanges if self._purpose(e.name) in purposes]

    def _dropped(self) -> set[str]:
        """Return the tools not to try again: they failed several times in a row.

        A refusal counts double, except where the next document may be allowed.
        """
        failures: dict[str, int] = {}
        for exchange in self.conversation.exchanges:
            if exchange.failure is None:
                failures[exchange.name] = 0
                continue
            opens = self._purpose(exchange.name) in {"read", "fetch"}
            weight = 2 if is_refusal(exchange.failure) and not opens else 1
            failures[exchange.name] = failures.get(exchange.name, 0) + weight
        return {
            name
            for name, count in failures.items()
            if count >= _MOST_FAILURES + (self._purpose(name) in {"read", "fetch"})
        }

    def _failed_last(self) -> bool:
        opened = self._exchanges("read", "fetch")
        return bool(opened) and opened[-1].failure is not None

    def _is_answered(self, enough: float) -> bool:
        """Whether every part of the question has a sentence that holds enough of its words."""
        return bool(self.facets) and all(self.corpus.rank(f, enough) for f in self.facets)


def _likeness(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)
