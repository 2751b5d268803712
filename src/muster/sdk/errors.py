"""What the SDK raises into an agent: only what the agent has asked to be stopped by."""

from muster.sdk.decisions import Decision


class SdkError(Exception):
    """Every error of the SDK."""


class PlatformUnavailable(SdkError):
    """The platform cannot be asked, and the agent is to stop then (`on_outage="closed"`)."""


class RegistrationRefused(SdkError):
    """The platform refuses the agent's registration (`on_outage="closed"`)."""


class StepBlocked(SdkError):
    """Policies do not let the step happen. It did not begin, and is recorded as blocked."""

    def __init__(self, step: str, decision: Decision) -> None:
        self.step, self.decision = step, decision
        super().__init__(f"{step}: {self._verdict()} {decision.reason}")

    def _verdict(self) -> str:
        return "blocked by"

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies that are violated."""
        return self.decision.names


class ApprovalRequired(StepBlocked):
    """Policies ask for a person's yes, and nobody has given it."""

    def _verdict(self) -> str:
        return "needs an approval by"
