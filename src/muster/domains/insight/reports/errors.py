"""What can go wrong with reports."""

from muster.kernel.errors import Conflict, Gone, Invalid, NotFound


class ReportNotFound(NotFound):
    code, title = "report_not_found", "No such report in this project"


class ReportNotReady(Conflict):
    code, title = "report_not_ready", "The report cannot be downloaded"


class ReportLost(Gone):
    code, title = "report_lost", "The report's file is gone; ask for the report again"


class ReportFrameworkUnknown(Invalid):
    code, title = "report_framework_unknown", "There is no such framework"


class ReportAgentUnknown(Invalid):
    code, title = "report_agent_unknown", "The project has no such agent"
