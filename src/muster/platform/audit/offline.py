"""Checking an export with nothing but the export and a public key. Loads no database.

Whatever is in the file may be forged, except what leads to a good signature: the events are
hashed anew, the hashes lead by their proofs to the head of a checkpoint, the checkpoints lead by
theirs to one another, and each of them is signed.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

from muster.kernel.chain import GENESIS, chain_hash
from muster.platform.audit.merkle import verify_consistency, verify_inclusion
from muster.platform.audit.notes import (
    Checkpoint,
    NoteInvalid,
    PublicKey,
    origin_of,
    read_note,
)
from muster.platform.audit.tiles import leaf_of

FORMAT = "muster-audit-export/1"

_HASH = re.compile(r"[0-9a-f]{64}")
_LONGEST_PROOF = 130
_ORDER = ["export", "key", "checkpoint", "event", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportProblem:
    """The first bad place of an export, and what is wrong there."""

    problem: str
    reason: str
    line: int
    seq: int | None = None
    event_id: str | None = None


@dataclass(slots=True, kw_only=True)
class ExportReport:
    """What a check has found. Counts are of what is right; the rest is only told by the file."""

    chain: str | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    size: int | None = None
    signed_at: str | None = None
    exported_at: str | None = None
    events: int = 0
    checkpoints: int = 0
    run_journals: int = 0
    keys: list[PublicKey] = field(default_factory=list[PublicKey])
    key_is_trusted: bool = False
    problem: ExportProblem | None = None

    @property
    def valid(self) -> bool:
        return self.problem is None


class _Bad(Exception):
    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(reason)
        self.problem, self.reason = problem, reason


def verify_export(lines: Iterable[str | bytes], trusted: Sequence[PublicKey] = ()) -> ExportReport:
    """Check an export up to the first thing that is wrong.

    Args:
        lines: The lines of the file.
        trusted: Keys that came from elsewhere; without any, those of the export itself are taken.
    """
    check = _Check(trusted)
    try:
        for line in lines:
            check.take(line)
        check.finish()
    except _Bad as error:
        check.report.problem = ExportProblem(
            problem=error.problem,
            reason=error.reason,
            line=check.line,
            seq=check.seq,
            event_id=check.event_id,
        )
    return check.report


class _Check:
    def __init__(self, trusted: Sequence[PublicKey]) -> None:
        self.report = ExportReport(key_is_trusted=bool(trusted))
        self.line = 0
        self.seq: int | None = None
        self.event_id: str | None = None
        self._keys = list(trusted)
        self._stage = -1
        self._latest: Checkpoint | None = None
        self._previous: str | None = None
        self._next = 1

    def take(self, line: str | bytes) -> None:
        """Take the next line."""
        self.line += 1
        content = _read(line)
        kind = content.get("kind")
        if kind not in _ORDER:
            raise _Bad("unreadable", "This line is not one of an audit export.")
        stage = _ORDER.index(str(kind))
        if stage < self._stage or (stage == self._stage and kind in {"export", "end"}):
            raise _Bad("unreadable", "This line is not where it belongs.")
        if self._stage < 0 and kind != "export":
            raise _Bad("unreadable", "The file does not begin like an audit export.")
        self._stage = stage
        {
            "export": self._header,
            "key": self._key,
            "checkpoint": self._checkpoint,
            "event": self._event,
            "end": self._end,
        }[str(kind)](content)

    def finish(self) -> None:
        """Say that there are no more lines."""
        if self._stage < 0:
            raise _Bad("unreadable", "The file is empty.")
        if self._stage < _ORDER.index("end"):
            raise _Bad("truncated_tail", "The export is cut off: its last line is missing.")

    def _header(self, line: Mapping[str, Any]) -> None:
        if line.get("format") != FORMAT:
            raise _Bad("unreadable", f"Only exports of the format {FORMAT} can be checked.")
        chain, report = line.get("chain"), self.report
        first, last, size = (line.get(name) for name in ("first_seq", "last_seq", "size"))
        if (
            not isinstance(chain, str)
            or not (isinstance(first, int) and isinstance(last, int) and isinstance(size, int))
            or not 1 <= first <= last <= size
        ):
            raise _Bad("unreadable", "The first line does not say which events are exported.")
        report.chain, report.first_seq, report.last_seq, report.size = chain, first, last, size
        exported_at = line.get("exported_at")
        report.exported_at = exported_at if isinstance(exported_at, str) else None
        self._next = first

    def _key(self, line: Mapping[str, Any]) -> None:
        if self.report.key_is_trusted:
            return
        try:
            self._keys.append(PublicKey.parse(str(line.get("key"))))
        except NoteInvalid as error:
            raise _Bad("unreadable", f"A public key cannot be read: {error}.") from error

    def _checkpoint(self, line: Mapping[str, Any]) -> None:
        try:
            note = read_note(str(line.get("note")))
        except NoteInvalid as error:
            raise _Bad("unreadable", f"A checkpoint cannot be read: {error}.") from error
        found = note.checkpoint
        name = f"The checkpoint over {found.size} events"
        if found.origin != origin_of(self.report.chain or ""):
            raise _Bad("checkpoint", f"{name} is of another log, {found.origin}.")
        key = next((key for key in self._keys if note.signed_by(key)), None)
        if key is None:
            ids = {key.id for key in self._keys}
            if any(id_ in ids for _, id_, _ in note.signatures):
                raise _Bad("signature", f"{name} was changed: its signature is not valid.")
            signers = ", ".join(f"{name} ({id_})" for name, id_, _ in note.signatures)
            raise _Bad("signature", f"{name} is signed by {signers}, a key that is not given.")
        before = self._latest
        if before is not None and not verify_consistency(
            before.size, found.size, before.root, found.root, _proof(line.get("consistency"))
        ):
            raise _Bad(
                "consistency",
                f"{name} does not begin with the {before.size} events of the one before: the log "
                "was rewritten between them.",
            )
        if key not in self.report.keys:
            self.report.keys.append(key)
        self._latest = found
        self.report.checkpoints += 1
        self.report.signed_at = found.created_at

    def _event(self, line: Mapping[str, Any]) -> None:
        event = line.get("event")
        self.seq, self.event_id = self._next, None
        latest = self._signed()
        if not isinstance(event, dict):
            raise _Bad("unreadable", f"Event {self._next} cannot be read.")
        fields = cast("dict[str, Any]", event)
        id_ = fields.get("id")
        self.event_id = id_ if isinstance(id_, str) else None
        self._check_place(fields)
        previous, hash_ = fields.pop("previous_hash", None), fields.pop("hash", None)
        if not _is_hash(previous) or not _is_hash(hash_):
            raise _Bad("changed", f"The hashes of event {self._next} cannot be read.")
        if _hash_of(previous, fields) != hash_:
            raise _Bad("changed", f"Event {self._next} was changed: its hash is another one.")
        known = GENESIS if self._next == 1 else self._previous
        if known is not None and previous != known:
            raise _Bad("reordered", f"Event {self._next} does not follow the event before it.")
        proof = _proof(line.get("proof"))
        leaf = leaf_of(hash_)
        if not verify_inclusion(self._next - 1, latest.size, leaf, proof, latest.root):
            raise _Bad(
                "rewritten",
                f"Event {self._next} is not the one that was signed, or its proof was changed.",
            )
        self._previous = hash_
        self._next += 1
        self.report.events += 1
        self.report.run_journals += _anchors_a_journal(fields)
        self.seq = self.event_id = None

    def _check_place(self, fields: Mapping[str, Any]) -> None:
        seq = fields.get("seq")
        if fields.get("chain") != self.report.chain:
            raise _Bad("changed", f"Event {self._next} is of another log.")
        if not isinstance(seq, int) or seq != self._next:
            words = "is missing, or" if isinstance(seq, int) and seq > self._next else "was"
            raise _Bad(
                "missing" if isinstance(seq, int) and seq > self._next else "reordered",
                f"Event {self._next} {words} put elsewhere: event {seq} is in its place.",
            )
        if self._next > (self.report.last_seq or 0):
            raise _Bad("unreadable", "There are more events than the first line says.")

    def _end(self, _: Mapping[str, Any]) -> None:
        self._signed()
        if self._next <= (self.report.last_seq or 0):
            self.seq = self._next
            raise _Bad(
                "truncated_tail",
                f"Event {self._next} and what came after it are missing: the end was cut off.",
            )

    def _signed(self) -> Checkpoint:
        if self._latest is None or self._latest.size != self.report.size:
            raise _Bad("checkpoint", "The checkpoint of which the first line speaks is missing.")
        return self._latest


def _read(line: str | bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Bad("unreadable", "This line is not JSON.") from error
    if not isinstance(content, dict):
        raise _Bad("unreadable", "This line is not one of an audit export.")
    return cast("dict[str, Any]", content)


def _proof(value: Any) -> list[bytes]:
    hashes = cast("list[Any]", value) if isinstance(value, list) else [None]
    if len(hashes) > _LONGEST_PROOF or not all(map(_is_hash, hashes)):
        raise _Bad("unreadable", "A proof cannot be read.")
    return [bytes.fromhex(str(hash_)) for hash_ in hashes]


def _is_hash(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _hash_of(previous: str, fields: Mapping[str, Any]) -> str | None:
    try:
        return chain_hash(previous, fields)
    except (ValueError, TypeError, RecursionError):  # what cannot be hashed was never recorded
        return None


def _anchors_a_journal(fields: Mapping[str, Any]) -> bool:
    data = fields.get("data")
    return (
        str(fields.get("type")).startswith("run.")
        and isinstance(data, dict)
        and _is_hash(cast("dict[str, Any]", data).get("head_hash"))
    )
