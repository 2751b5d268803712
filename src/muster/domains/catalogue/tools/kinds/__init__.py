"""Every kind of tool, by name."""

from muster.domains.catalogue.tools.kinds.agent import AgentKind
from muster.domains.catalogue.tools.kinds.base import ExpandingKind, Face, Kind
from muster.domains.catalogue.tools.kinds.builtin import BuiltinKind
from muster.domains.catalogue.tools.kinds.http import CustomKind, HttpKind
from muster.domains.catalogue.tools.kinds.mcp import McpKind
from muster.domains.catalogue.tools.kinds.openapi import OpenApiKind
from muster.domains.catalogue.tools.kinds.python import PythonKind

__all__ = ["KINDS", "ExpandingKind", "Face", "Kind"]

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        BuiltinKind(),
        CustomKind(),
        HttpKind(),
        OpenApiKind(),
        McpKind(),
        PythonKind(),
        AgentKind(),
    )
}
