"""HTTP surface of health and metrics, for monitors: nobody has to sign in."""

from fastapi import Request, Response

from muster.kernel import metrics
from muster.kernel.http import Router
from muster.platform.system.health import Health
from muster.platform.system.schemas import HealthReport

router = Router(tag="System")
root_router = Router(tag="System", base="")

_UNHEALTHY = {503: {"model": HealthReport, "description": "A part that is needed is down"}}


@router.get("/health", responses={**_UNHEALTHY})
async def get_health(request: Request, response: Response) -> HealthReport:
    """Tell whether the installation is well; answers within seconds whatever is down."""
    health: Health = request.app.state.health
    report = await health.report()
    if report.status == "unhealthy":
        response.status_code = 503
        response.headers["retry-after"] = "5"
    return report


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics() -> Response:
    """Return the metrics of this process in the text format of Prometheus."""
    return Response(metrics.render(), headers={"content-type": metrics.CONTENT_TYPE_LATEST})


# Monitors look at the root; the reference names the operations once.
root_router.add_api_route(
    "/health", get_health, responses={**_UNHEALTHY}, name="get_root_health", include_in_schema=False
)
root_router.add_api_route("/metrics", get_metrics, name="get_root_metrics", include_in_schema=False)
