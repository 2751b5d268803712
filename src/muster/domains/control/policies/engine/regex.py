"""Regular expressions in linear time: what a policy's author writes cannot stall the gate.

Python's own matcher backtracks: some patterns take a time exponential in the length of the text,
and the text comes from the agent that is judged. Here a pattern becomes a non-deterministic
automaton, whose deterministic one is built while texts are read and kept up to a limit. Syntax is
Python's without look-around and back-references, which no automaton knows.
"""

import re
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from muster.domains.control.policies.engine.errors import PatternInvalid, Unjudgeable

MAX_PATTERN_CHARS: Final = 2_000
MAX_TEXT_CHARS: Final = 100_000
_MAX_NODES: Final = 500
_MAX_MOVES: Final = 50_000

# The parser of the standard library has no public name; it alone knows the whole syntax.
_parser: Any = import_module("re._parser")
_compiler: Any = import_module("re._compiler")

_Edge = tuple[Callable[[str], object], int]
_START, _WORD, _OTHER, _LINE = "start", "word", "other", "line"
_END, _LAST_LINE = "", "\n$"


class Pattern:
    """A compiled pattern; `matches` costs a time proportional to the text."""

    __slots__ = ("_anchored", "_ascii", "_first", "_graph", "_moves", "_needed", "_states")

    def __init__(
        self, graph: "_Graph", *, anchored: bool, ascii_only: bool, needed: str = ""
    ) -> None:
        self._needed = needed
        self._graph, self._anchored, self._ascii = graph, anchored, ascii_only
        self._states: dict[tuple[frozenset[int], str], _State] = {}
        self._moves = 0
        self._first = self._state(frozenset({graph.start}), _START)

    def matches(self, text: str) -> bool:
        """Whether the pattern is found; raises `Unjudgeable` on more than `MAX_TEXT_CHARS`."""
        if len(text) > MAX_TEXT_CHARS:
            raise Unjudgeable(
                f"the text has more than {MAX_TEXT_CHARS} characters and is not searched"
            )
        if self._needed not in text:
            return False
        state = self._first
        end = len(text) - 1
        for index, char in enumerate(text):
            token = _LAST_LINE if index == end and char == "\n" else char
            following = state.moves.get(token)
            if following is None:
                following = self._move(state, token)
                state.moves[token] = following
            state = following
            if state.is_final:
                return state.is_match
        return _accepts(self._graph, self._closure(state, _END))

    def _move(self, state: "_State", token: str) -> "_State":
        self._moves += 1
        if self._moves > _MAX_MOVES:
            self._forget()
        closed = self._closure(state, token)
        if _accepts(self._graph, closed):
            return _MATCHED
        char = token[0]
        nodes = {
            target for node in closed for test, target in self._graph.edges[node] if test(char)
        }
        if not self._anchored:
            nodes.add(self._graph.start)
        elif not nodes:
            return _FAILED
        before = _LINE if char == "\n" else _WORD if self._is_word(char) else _OTHER
        return self._state(frozenset(nodes), before)

    def _forget(self) -> None:
        for old in [self._first, *self._states.values()]:
            old.moves.clear()
        self._states.clear()
        self._moves = 0

    def _state(self, nodes: frozenset[int], before: str) -> "_State":
        key = (nodes, before)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = _State(nodes, before)
        return state

    def _closure(self, state: "_State", token: str) -> set[int]:
        """Follow every empty edge whose condition holds between `state` and `token`."""
        seen = set(state.nodes)
        stack = list(seen)
        while stack:
            for condition, target in self._graph.empty[stack.pop()]:
                if target not in seen and (
                    condition is None or self._holds(condition, state.before, token)
                ):
                    seen.add(target)
                    stack.append(target)
        return seen

    def _holds(self, condition: str, before: str, token: str) -> bool:
        match condition:
            case "text_start":
                return before == _START
            case "line_start":
                return before in {_START, _LINE}
            case "text_end":
                return token == _END
            case "end":
                return token in {_END, _LAST_LINE}
            case "line_end":
                return token in {_END, _LAST_LINE, "\n"}
            case _:
                at_edge = (before == _WORD) != (token != _END and self._is_word(token[0]))
                return at_edge == (condition == "edge")

    def _is_word(self, char: str) -> bool:
        return char == "_" or (char.isalnum() and (not self._ascii or char.isascii()))


@lru_cache(maxsize=1024)
def compile_pattern(
    source: str, *, anchored: bool = False, dotall: bool = False, strict: bool = False
) -> Pattern:
    r"""Compile a pattern; raises `PatternInvalid`.

    `anchored` matches at the start of the text, else anywhere. `strict` is the dialect of the
    third generation: `\d`, `\w`, `\s` and `\b` are ASCII, `$` is the very end of the text.
    """
    if len(source) > MAX_PATTERN_CHARS:
        raise PatternInvalid(f"has more than {MAX_PATTERN_CHARS} characters")
    flags = (re.DOTALL if dotall else 0) | (re.ASCII if strict else 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = _parser.parse(source, flags)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        what = error.msg if isinstance(error, re.error) else "its flags or its size"
        raise PatternInvalid(f"is no regular expression: {what}") from error
    graph = _Graph(parsed.state, strict=strict)
    try:
        graph.finish(graph.add(parsed, graph.start, int(parsed.state.flags)))
    except RecursionError as error:
        raise PatternInvalid("is too large") from error
    ascii_only = bool(parsed.state.flags & re.ASCII)
    needed = "" if parsed.state.flags & re.IGNORECASE else _needed_in(parsed)
    return Pattern(graph, anchored=anchored, ascii_only=ascii_only, needed=needed)


def _needed_in(items: Any) -> str:
    """Return the longest text that every match must contain; most texts are done with by it."""
    longest, run = "", ""
    for operation, argument in items:
        if str(operation) == "LITERAL":
            run += chr(argument)
            longest = max(longest, run, key=len)
        else:
            run = ""
    return longest


class _State:
    __slots__ = ("before", "is_final", "is_match", "moves", "nodes")

    def __init__(
        self, nodes: frozenset[int], before: str, *, is_final: bool = False, is_match: bool = False
    ) -> None:
        self.nodes, self.before = nodes, before
        self.is_final, self.is_match = is_final, is_match
        self.moves: dict[str, _State] = {}


_MATCHED = _State(frozenset(), _OTHER, is_final=True, is_match=True)
_FAILED = _State(frozenset(), _OTHER, is_final=True)


def _accepts(graph: "_Graph", nodes: set[int]) -> bool:
    return graph.accept in nodes


class _Graph:
    """The automaton: nodes with edges that read a character and edges that read none."""

    def __init__(self, state: Any, *, strict: bool) -> None:
        self._state, self._strict = state, strict
        self.edges: list[list[_Edge]] = []
        self.empty: list[list[tuple[str | None, int]]] = []
        self.start = self._node()
        self.accept = -1

    def finish(self, node: int) -> None:
        self.accept = node

    def add(self, items: Any, node: int, flags: int) -> int:
        """Append a sequence of parsed items behind `node`; return the node behind it."""
        for operation, argument in items:
            node = self._item(str(operation), argument, node, flags)
        return node

    def _item(self, operation: str, argument: Any, node: int, flags: int) -> int:
        match operation:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self._char(operation, argument, node, flags)
            case "BRANCH":
                return self._branch(argument[1], node, flags)
            case "SUBPATTERN":
                _, added, removed, body = argument
                if added & (re.ASCII | re.UNICODE):
                    raise PatternInvalid("changes between ASCII and Unicode inside of a group")
                return self.add(body, node, (flags | added) & ~removed)
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self._repeat(argument, node, flags)
            case "AT":
                return self._empty(node, self._condition(str(argument), flags))
            case _:
                raise PatternInvalid(
                    "uses look-around, back-references or possessive groups, which cannot be "
                    "matched in linear time"
                )

    def _char(self, operation: str, argument: Any, node: int, flags: int) -> int:
        parsed = _parser.SubPattern(self._state, [(getattr(_parser, operation), argument)])
        # Compiled by the standard library, so that classes and cases mean what they mean there.
        kept, self._state.flags = self._state.flags, flags
        whole = _compiler.compile(parsed, flags)
        self._state.flags = kept
        target = self._node()
        self.edges[node].append((whole.match, target))
        return target

    def _branch(self, branches: Sequence[Any], node: int, flags: int) -> int:
        end = self._node()
        for branch in branches:
            self.empty[self.add(branch, self._empty(node), flags)].append((None, end))
        return end

    def _repeat(self, argument: Any, node: int, flags: int) -> int:
        low, high, body = argument
        for _ in range(low):
            node = self.add(body, node, flags)
        end = self._node()
        if high == _parser.MAXREPEAT:
            loop = self._empty(node)
            self.empty[self.add(body, loop, flags)].append((None, loop))
            self.empty[loop].append((None, end))
            return end
        self.empty[node].append((None, end))
        for _ in range(high - low):
            node = self.add(body, node, flags)
            self.empty[node].append((None, end))
        return end

    def _condition(self, position: str, flags: int) -> str:
        line = bool(flags & re.MULTILINE)
        match position:
            case "AT_BEGINNING":
                return "line_start" if line else "text_start"
            case "AT_BEGINNING_STRING":
                return "text_start"
            case "AT_END":
                return "line_end" if line else "text_end" if self._strict else "end"
            case "AT_END_STRING":
                return "text_end"
            case _:
                return "edge" if position == "AT_BOUNDARY" else "no_edge"

    def _empty(self, node: int, condition: str | None = None) -> int:
        target = self._node()
        self.empty[node].append((condition, target))
        return target

    def _node(self) -> int:
        if len(self.edges) >= _MAX_NODES:
            raise PatternInvalid("is too large: repeat less often or split the policy")
        self.edges.append([])
        self.empty.append([])
        return len(self.edges) - 1
