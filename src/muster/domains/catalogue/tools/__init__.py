"""Tools: what agents can do, from which source ever, with a schema, a switch and a way to call."""

from muster.domains.catalogue.tools.binding import BoundTool, Call, ToolContext
from muster.domains.catalogue.tools.builtins import BUILTINS
from muster.domains.catalogue.tools.catalogue import ToolCatalogue
from muster.domains.catalogue.tools.preparing import MAX_SECRET
from muster.domains.catalogue.tools.references import seal as seal_configuration
from muster.domains.catalogue.tools.services import ToolServices

__all__ = [
    "BUILTINS",
    "MAX_SECRET",
    "BoundTool",
    "Call",
    "ToolCatalogue",
    "ToolContext",
    "ToolServices",
    "seal_configuration",
]
