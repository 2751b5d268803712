"""What a call of a model outside of any run has to pass: set up by the composition root.

Budgets, circuit breakers and rules of access are above this slice, which only has to ask.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from muster.adapters.models import ModelReply, ModelRequest
from muster.domains.catalogue.models.catalogue import CallableModel
from muster.platform.access import Caller


@dataclass(slots=True)
class BareCall:
    """A call that was let through; `reply` is set when the model has answered."""

    reply: ModelReply | None = None


class Admission(Protocol):
    """Lets calls through, and takes note of how they ended."""

    def admit(
        self, caller: Caller, model: CallableModel, request: ModelRequest
    ) -> AbstractAsyncContextManager[BareCall]:
        """Return what the call is made in; entering it raises why it may not be made."""
        ...
