"""Sending the words of a model to those who follow its run, as they come."""

import time

from muster.domains.work.journal import run_topic
from muster.kernel.live import LiveBus

_TOKEN_INTERVAL_S = 0.03


class Tokens:
    """Sends the words of a model as they come, a few at a time."""

    def __init__(self, live: LiveBus, run_id: str, key: str) -> None:
        self._live, self._topic, self._key = live, run_topic(run_id), key
        self._kind, self._text, self._sent_at = "text", "", 0.0

    def add(self, kind: str, text: str) -> None:
        if kind != self._kind:
            self.flush()
        self._kind = kind
        self._text += text
        if time.monotonic() - self._sent_at >= _TOKEN_INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        if self._text:
            message = {"type": "token", "key": self._key, "kind": self._kind, "text": self._text}
            self._live.publish(self._topic, message)
            self._text, self._sent_at = "", time.monotonic()
