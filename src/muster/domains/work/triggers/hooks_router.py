"""HTTP surface of incoming webhooks: open to all, proved by the trigger's secret."""

import json
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.requests import HTTPConnection

from muster.domains.work.triggers.errors import HookDisabled, HookNotFound, HookUnsigned
from muster.domains.work.triggers.hooks import proven, take
from muster.domains.work.triggers.schemas import HookReceipt
from muster.kernel.errors import BadRequest, PayloadTooLarge
from muster.kernel.http import Db, Router, Sealing, problems
from muster.kernel.live import LiveBus

router = Router("/hooks", tag="Triggers")

LARGEST = 1_000_000
_FORM = "application/x-www-form-urlencoded"


@router.post(
    "/{trigger_id}",
    status_code=202,
    responses=problems(HookNotFound, HookUnsigned, HookDisabled, PayloadTooLarge, BadRequest),
)
async def receive_hook(
    request: Request, database: Db, key: Sealing, trigger_id: str
) -> HookReceipt:
    """Fire a trigger of type `webhook`. No account is needed: the call proves itself.

    By the trigger's `verification` it is signed as Standard Webhooks says (`webhook-id`,
    `webhook-timestamp`, `webhook-signature`), as GitHub does (`X-Hub-Signature-256`), or carries
    the secret in `X-Muster-Token`. A call with the same `webhook-id` (`X-GitHub-Delivery`,
    `Idempotency-Key`) is taken once and answered alike. Bodies are JSON, forms or text, up to
    1 MB.
    """
    body = await request.body()
    if len(body) > LARGEST:
        raise PayloadTooLarge(f"The body may have {LARGEST} bytes.")
    async with database.read() as session:
        trigger = await proven(session, key, trigger_id, request.headers, body)
    payload = await _payload(request, body)
    async with database.write() as session:
        firing, duplicate = await take(session, _live(request), trigger, request.headers, payload)
    return HookReceipt(
        firing_id=firing.id,
        run_id=firing.run_id,
        status=firing.status,  # pyright: ignore[reportArgumentType]
        duplicate=duplicate,
    )


def _live(connection: HTTPConnection) -> LiveBus:
    live: LiveBus = connection.app.state.live
    return live


async def _payload(request: Request, body: bytes) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return await request.json() if body.strip() else {}
        except json.JSONDecodeError as error:
            item: dict[str, Any] = {
                "type": "json_invalid",
                "loc": ("body", 0),
                "msg": error.msg,
                "input": {},
                "ctx": {"error": error.msg},
            }
            raise RequestValidationError([item]) from error
    text = body.decode("utf-8", "replace").replace("\0", "")
    if kind == _FORM:
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=1000)
        except ValueError:
            raise BadRequest("The form has too many fields.") from None
        return {name.replace("\0", ""): value.replace("\0", "") for name, value in pairs}
    return {"text": text}
