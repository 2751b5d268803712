"""E-mail over the SMTP server that the operator set."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate

from muster.adapters.channels.answers import Sent
from muster.adapters.channels.errors import ChannelError, SendFailed, SendRefused
from muster.kernel.settings import SmtpSettings

_PERMANENT = 500
_LONGEST_SUBJECT = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One e-mail in plain text. `message_id` is the same for each try."""

    message_id: str
    to: Sequence[str]
    subject: str
    text: str


class MailSender:
    """Sends letters. The server's address is the operator's: it is not judged as users' are."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings

    @property
    def missing(self) -> list[str]:
        """Names of the settings without which nothing can be sent."""
        return self._settings.missing

    async def send(self, letter: Letter, *, timeout_s: float) -> Sent:
        """Hand a letter to the server.

        Raises:
            SendFailed: It may work later.
            SendRefused: It will not.
        """
        settings = self._settings
        if self.missing or settings.host is None:
            raise SendRefused(f"E-mail is not set up: set {' and '.join(self.missing)}.")
        import aiosmtplib  # a tenth of a second, for those who send e-mail

        password = settings.password.get_secret_value() if settings.password else None
        try:
            await aiosmtplib.send(
                self._message(letter),
                hostname=settings.host,
                port=settings.port,
                username=settings.username,
                password=password,
                use_tls=settings.tls == "tls",
                start_tls=settings.tls == "starttls",
                timeout=timeout_s,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _meaning(error) from None
        return Sent(250)

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        sender = str(self._settings.sender)
        message["From"] = sender
        message["To"] = ", ".join(letter.to)
        message["Subject"] = _UNPRINTABLE.sub(" ", letter.subject)[:_LONGEST_SUBJECT]
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = f"<{letter.message_id}@{sender.rpartition('@')[2].strip('<> ')}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message


def _meaning(error: Exception) -> ChannelError:
    import aiosmtplib

    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        # The operator can correct it, and what waits is sent then.
        return SendFailed(
            "The mail server does not accept the user name and password that are set.",
            status_code=error.code,
            answered=True,
        )
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [refused.code for refused in error.recipients]
        kind = SendRefused if min(codes) >= _PERMANENT else SendFailed
        return kind(
            "The mail server refused every recipient.", status_code=min(codes), answered=True
        )
    if isinstance(error, aiosmtplib.SMTPResponseException):
        kind = SendRefused if error.code >= _PERMANENT else SendFailed
        return kind(
            f"The mail server answered {error.code}.", status_code=error.code, answered=True
        )
    if isinstance(error, ValueError):
        return SendRefused("The e-mail cannot be written: an address is not valid.")
    return SendFailed("The mail server did not answer properly, or not in time.", answered=False)
