"""What can be wrong with reading the audit log."""

from muster.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class AuditLogEmpty(NotFound):
    code, title = "audit_log_empty", "No event was ever recorded in this chain"


class AuditRangeEmpty(NotFound):
    code, title = "audit_range_empty", "No event was recorded in this range"


class AuditEventNotFound(NotFound):
    code, title = "audit_event_not_found", "No such event in this chain"


class AuditLogBroken(Conflict):
    code, title = "audit_log_broken", "The log does not continue what was signed before"


class AuditKeyBroken(Conflict):
    code, title = "audit_key_broken", "The key that checkpoints are signed with cannot be used"


class AuditSizeInvalid(Invalid):
    code, title = "audit_size_invalid", "The tree has no such size"


class AuditRangeInvalid(Invalid):
    code, title = "audit_range_invalid", "The range ends before it begins"


class PlatformLogForbidden(Forbidden):
    code, title = "platform_log_forbidden", "The log of the platform is for its admins"
