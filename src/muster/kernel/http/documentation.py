"""The pages that show the API in a browser; they load nothing from other hosts."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from muster.kernel.errors import NotFound

ASSETS = "/docs/assets"

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

# Only what this server itself serves; the viewers style elements from their scripts, and ReDoc
# makes the worker of its search from a blob.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KEPT = "public, max-age=86400"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A program of the browser that shows an OpenAPI document."""

    script: str
    style: str | None = None


SWAGGER_UI = Viewer("swagger-ui-bundle.js", "swagger-ui.css")
REDOC = Viewer("redoc.standalone.js")


def page(viewer: Viewer, *, source: str, title: str) -> Endpoint:
    """Return the endpoint of a page.

    Args:
        viewer: What shows the document.
        source: Path of the OpenAPI document.
        title: Name of the API.
    """
    content = _html(viewer, source, escape(title))

    async def show(_: Request) -> Response:
        return HTMLResponse(content, headers={"content-security-policy": _POLICY})

    return show


async def asset(request: Request) -> Response:
    """Send a file of the viewers."""
    name = request.path_params["name"]
    path = _assets().get(name)
    if path is None:
        raise NotFound
    return FileResponse(path, headers={"cache-control": _KEPT})


def _assets() -> dict[str, Path]:
    # The package has current builds of both viewers; of its code nothing is used.
    viewers = Path(str(files("fastapi_offline"))) / "static"
    names = (SWAGGER_UI.script, "swagger-ui.css", REDOC.script)
    return {name: viewers / name for name in names} | {
        "start.js": Path(__file__).parent / "static" / "start.js"
    }


def _html(viewer: Viewer, source: str, title: str) -> str:
    style = f'<link rel="stylesheet" href="{ASSETS}/{viewer.style}">' if viewer.style else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: API reference</title>
<link rel="icon" href="data:,">
{style}
</head>
<body style="margin: 0">
<div id="document" data-source="{source}"></div>
<script src="{ASSETS}/{viewer.script}"></script>
<script src="{ASSETS}/start.js"></script>
</body>
</html>
"""
