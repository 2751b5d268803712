"""What can go wrong with messages."""

from muster.kernel.errors import Conflict, Invalid, NotFound


class MessageNotFound(NotFound):
    code, title = "message_not_found", "No such message in this project"


class MessageSent(Conflict):
    code, title = "message_sent", "The message was sent already"


class MessageUnaddressed(Invalid):
    code, title = "message_unaddressed", "The message is for nobody"


class ReplyUnknown(Invalid):
    code, title = "message_reply_unknown", "There is no message to reply to"
