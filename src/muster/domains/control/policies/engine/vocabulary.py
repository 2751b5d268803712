"""One step model for the three published vocabularies, and the only way into it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

Verb = Literal["GET", "POST", "PATCH", "DELETE"]
Outcome = Literal["ok", "blocked", "failed"]

VERBS: tuple[Verb, ...] = ("GET", "POST", "PATCH", "DELETE")
WRITE_VERBS = frozenset[str]({"POST", "PATCH", "DELETE"})
WRITE = "WRITE"
"""In a policy: any verb by which data leaves the task or the world changes."""

_NO_VERB = frozenset[str | None]({None})
_ANY_VERB = frozenset[str | None](VERBS)

KINDS: dict[str, frozenset[str | None]] = {
    "task.start": _NO_VERB,
    "task.end": _NO_VERB,
    "task.error": _NO_VERB,
    "task.idle": _NO_VERB,
    "step.resource": _ANY_VERB,
    "step.self": _ANY_VERB,
    "step.credential": _ANY_VERB,
    "step.message": frozenset({"GET", "POST"}),
    "step.model": frozenset({None, "POST"}),
    "step.exec": _NO_VERB,
    "step.gate": _NO_VERB,
    "step.unknown": _NO_VERB,
}
"""Each kind with the verbs it takes: what the second and the third generation allow together."""

GATE, TASK_END, MODEL = "step.gate", "task.end", "step.model"
LIFECYCLE = frozenset(kind for kind in KINDS if kind.startswith("task."))
VERBLESS = frozenset(kind for kind, verbs in KINDS.items() if verbs == _NO_VERB)

_NODE_TYPES: dict[str, tuple[str, Verb | None]] = {
    "START_NODE": ("task.start", None),
    "END_NODE": ("task.end", None),
    "ERROR": ("task.error", None),
    "INTERNAL_TASK_UNFINISHED": ("task.idle", None),
    "LLM_CALL": (MODEL, "POST"),
    # The first generation has no verbs: a call that says nothing is taken for a writing one.
    "TOOL_CALL": ("step.resource", "POST"),
    "MEMORY_CALL": ("step.self", "POST"),
    "USER_INPUT": ("step.message", "GET"),
    "HUMAN_APPROVAL": (GATE, None),
    "PII_CHECK": (GATE, None),
    # An agent's own decision opens no gate.
    "DECISION": ("step.unknown", None),
}
_NODE_GATES = {"HUMAN_APPROVAL": ("human", "human_approval"), "PII_CHECK": ("guardrail", "pii")}
_PASSED = frozenset({"pass", "passed", "approve", "approved", "allow", "allowed", "ok", "yes"})

_OUTCOMES: dict[str, Outcome] = {
    "blocked": "blocked",
    "refused": "blocked",
    "rejected": "blocked",
    "denied": "blocked",
    "failed": "failed",
    "error": "failed",
    "cancelled": "failed",
}

_NO_PROPERTIES: Mapping[str, Any] = {}


class VocabularyError(ValueError):
    """A step that belongs to none of the vocabularies; `field` is where it says so."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalStep:
    """A step of a task, whatever vocabulary it was told in.

    `outcome` is `ok` for an intended step and for one that succeeded, `blocked` for one that was
    refused and did not happen, `failed` for one that was tried without success.
    """

    kind: str
    verb: str | None = None
    name: str | None = None
    properties: Mapping[str, Any] = field(default_factory=lambda: _NO_PROPERTIES)
    input: Any = None
    output: Any = None
    outcome: Outcome = "ok"
    status: str | None = None
    meta: Mapping[str, Any] = field(default_factory=lambda: _NO_PROPERTIES)
    agent_id: str | None = None
    task_id: str | None = None
    seq: int | None = None
    timestamp: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise VocabularyError("kind", f"must be one of {', '.join(KINDS)}")

    @property
    def scope(self) -> str:
        """`task` for a moment of the task itself, else `step`."""
        return "task" if self.kind in LIFECYCLE else "step"

    @property
    def is_refused(self) -> bool:
        return self.outcome == "blocked"


def normalise(raw: Mapping[str, Any]) -> NormalStep:
    """Read a step in any of the vocabularies or a mixture of the second and the third.

    Only the step's own fields are control fields. What lies in `input` stays there, so an
    argument named like a control field cannot take its place.
    """
    kind, verb, node_type = _kind_and_verb(raw)
    properties = _mapping(raw, "properties")
    output = _first(raw, "output", "output_data")
    if node_type in _NODE_GATES:
        properties = _gate_properties(node_type, properties, output)
    status = _text(raw, "status") or _status_of(output)
    return NormalStep(
        kind=kind,
        verb=verb,
        name=_text(raw, "step_name", "node_name", "name"),
        properties=properties,
        input=_first(raw, "input", "input_data"),
        output=output,
        outcome=_OUTCOMES.get(status.casefold(), "ok") if status else "ok",
        status=status,
        meta=_mapping(raw, "meta", "metadata"),
        agent_id=_text(raw, "agent_id"),
        task_id=_text(raw, "task_id"),
        seq=_integer(raw, "seq", "step_number", "step"),
        timestamp=_text(raw, "timestamp"),
    )


def canonical_kind(text: str) -> str | None:
    """Return the kind that a policy or a step names, or None when there is no such kind."""
    kind = text.replace("step.task_", "task.", 1)
    return kind if kind in KINDS else None


def _kind_and_verb(raw: Mapping[str, Any]) -> tuple[str, str | None, str]:
    node_type = _text(raw, "node_type") or ""
    verb = _verb(raw)
    named = [(key, _full_kind(raw, key)) for key in ("kind", "step_type", "type") if raw.get(key)]
    if node_type:
        if node_type not in _NODE_TYPES:
            raise VocabularyError("node_type", f"must be one of {', '.join(_NODE_TYPES)}")
        kind, implied = _NODE_TYPES[node_type]
        named.append(("node_type", kind))
        verb = verb or implied
    if not named:
        raise VocabularyError("kind", "a step needs a kind, a step_type or a node_type")
    kind = named[0][1]
    for key, other in named[1:]:
        if other != kind:
            raise VocabularyError(key, f"says {other}, but {named[0][0]} says {kind}")
    _check_scope(raw, kind)
    if verb not in KINDS[kind]:
        allowed = [v for v in VERBS if v in KINDS[kind]]
        wanted = f"takes one of the verbs {', '.join(allowed)}" if allowed else "takes no verb"
        raise VocabularyError("verb", f"{kind} {wanted}")
    # A model call sends the context out; the third generation leaves its one verb unsaid.
    return kind, "POST" if kind == MODEL else verb, node_type


def _full_kind(raw: Mapping[str, Any], key: str) -> str:
    text = _text(raw, key) or ""
    scope = raw.get("scope")
    if "." not in text and scope in {"task", "step"}:
        text = f"{scope}.{text}"
    kind = canonical_kind(text)
    if kind is None:
        raise VocabularyError(key, f"must be one of {', '.join(KINDS)}")
    return kind


def _check_scope(raw: Mapping[str, Any], kind: str) -> None:
    scope = raw.get("scope")
    if scope is None or scope == "step_execution":
        return
    right = "task" if kind in LIFECYCLE else "step"
    if scope != right:
        raise VocabularyError("scope", f"must be {right} for {kind}")


def _verb(raw: Mapping[str, Any]) -> str | None:
    text = _text(raw, "verb")
    if text is None or text == "":
        return None
    verb = text.upper()
    if verb not in VERBS:
        raise VocabularyError("verb", f"must be one of {', '.join(VERBS)}")
    return verb


def _gate_properties(node_type: str, given: Mapping[str, Any], output: Any) -> Mapping[str, Any]:
    """Say in the newer words what a gate of the first generation checked and how it ended."""
    kind, check = _NODE_GATES[node_type]
    guard = {"check_type": check, "result": "pass" if _passed(output) else "fail"}
    return {**given, "kind": kind, "guard": guard}


def _passed(output: Any) -> bool:
    if isinstance(output, Mapping):
        fields = cast("Mapping[str, Any]", output)
        answers = [fields[k] for k in ("approved", "decision", "result") if k in fields]
    else:
        answers = [output]
    return bool(answers) and all(
        answer is True or (isinstance(answer, str) and answer.casefold() in _PASSED)
        for answer in answers
    )


def _status_of(output: Any) -> str | None:
    if not isinstance(output, Mapping):
        return None
    status = cast("Mapping[str, Any]", output).get("status")
    return status if isinstance(status, str) else None


def _first(raw: Mapping[str, Any], *keys: str) -> Any:
    return next((raw[key] for key in keys if raw.get(key) is not None), None)


def _text(raw: Mapping[str, Any], *keys: str) -> str | None:
    for key in keys:
        value = raw.get(key)
        if isinstance(value, str):
            return value
        if value is not None:
            raise VocabularyError(key, "must be a string")
    return None


def _integer(raw: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = raw.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if value is not None:
            raise VocabularyError(key, "must be an integer")
    return None


def _mapping(raw: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = raw.get(key)
        if isinstance(value, Mapping):
            return cast("Mapping[str, Any]", value)
        if value is not None:
            raise VocabularyError(key, "must be an object")
    return _NO_PROPERTIES
