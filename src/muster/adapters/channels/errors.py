"""How sending ends when it does not end well: it may work later, or it never will."""


class ChannelError(Exception):
    """Something was not sent. The text is ours and names no secret.

    Args:
        message: What happened and what to do.
        status_code: What the other side answered, if it speaks in such codes.
        answered: Whether the other side was there and able; None where nothing was asked of it.
    """

    def __init__(
        self, message: str, *, status_code: int | None = None, answered: bool | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.status_code, self.answered = message, status_code, answered


class SendFailed(ChannelError):
    """It may work when it is tried again, not before `retry_after_s` where that is known."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        answered: bool | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, status_code=status_code, answered=answered)
        self.retry_after_s = retry_after_s


class SendRefused(ChannelError):
    """It will not work however often it is tried; somebody has to change something."""
