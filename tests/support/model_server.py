"""A scripted model server that speaks like OpenAI, in this process or in one of its own.

In a test:

    async with model_server([Reply(text="Hello")]) as server:
        ...  # ask server.base_url, then look at server.calls

On its own:

    python -m tests.support.model_server --port 8099 [--script FILE] [--latency-ms 20]

A script file is JSON: a list of replies, or `{"select": "turn", "replies": [...]}`, or
`{"select": "tools", "rounds": 2, "text": "Done."}`. Whatever is chosen by `turn` or `tools`
depends on the messages of the request alone, so a run that starts anew gets the same answers.
`GET /_calls` tells what was asked; `POST /_script` changes the script, `POST /_reset` forgets.
"""

import argparse
import asyncio
import contextlib
import hashlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import uvicorn

from tests.support.model_scripts import Reply, Script, example, script_from
from tests.support.serving import serving

_REMEMBERED_CALLS = 5000
_encode = msgspec.json.encode
_decode = msgspec.json.decode


@dataclass(kw_only=True)
class Conversation:
    """What a request says, whatever protocol it came in."""

    assistant_turns: int
    tool_results: int
    tools: list[tuple[str, dict[str, Any]]]
    user_text: str
    schema: dict[str, Any] | None


class Wire(Protocol):
    """One provider's protocol."""

    def asks(self, path: str) -> bool: ...

    def streams(self, path: str, body: dict[str, Any]) -> bool: ...

    def conversation(self, body: dict[str, Any]) -> Conversation: ...

    def answer(self, reply: Reply, body: dict[str, Any], number: int) -> dict[str, Any]: ...

    def events(self, reply: Reply, body: dict[str, Any], number: int) -> Iterable[bytes]: ...

    def error(self, reply: Reply) -> dict[str, Any]: ...

    def models(self, query: str) -> dict[str, Any]: ...


class OpenAIWire:
    """`/chat/completions` as OpenAI documents it."""

    names: tuple[str, ...] = ("scripted-large", "scripted-small")
    thinking_field = "reasoning_content"

    def asks(self, path: str) -> bool:
        return path.endswith("/chat/completions")

    def streams(self, path: str, body: dict[str, Any]) -> bool:
        return bool(body.get("stream"))

    def conversation(self, body: dict[str, Any]) -> Conversation:
        messages: list[dict[str, Any]] = body["messages"]
        users = [index for index, message in enumerate(messages) if message["role"] == "user"]
        last = users[-1] if users else -1
        format_ = body.get("response_format") or {}
        content = messages[last].get("content") if users else ""
        return Conversation(
            assistant_turns=sum(message["role"] == "assistant" for message in messages),
            tool_results=sum(message["role"] == "tool" for message in messages[last + 1 :]),
            tools=[
                (tool["function"]["name"], tool["function"].get("parameters") or {})
                for tool in body.get("tools") or []
            ],
            user_text=content if isinstance(content, str) else _encode(content).decode(),
            schema=format_["json_schema"]["schema"] if "json_schema" in format_ else None,
        )

    def answer(self, reply: Reply, body: dict[str, Any], number: int) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
        if reply.thinking:
            message[self.thinking_field] = reply.thinking
        if calls := reply.calls():
            message["tool_calls"] = [
                {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
                for id_, name, arguments in calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": self.finish(reply)}
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body.get("model", "scripted-large"),
            "choices": [choice],
            "usage": self.usage(reply),
        }

    def events(self, reply: Reply, body: dict[str, Any], number: int) -> Iterable[bytes]:
        head = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": body.get("model", "scripted-large"),
        }

        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return sse(head | {"choices": [choice]})

        yield chunk({"role": "assistant", "content": ""})
        for piece in pieces(reply.thinking):
            yield chunk({self.thinking_field: piece})
        for piece in pieces(reply.text):
            yield chunk({"content": piece})
        for index, (id_, name, arguments) in enumerate(reply.calls()):
            begun = {"name": name, "arguments": ""}
            yield chunk(
                {"tool_calls": [{"index": index, "id": id_, "type": "function", "function": begun}]}
            )
            for piece in pieces(arguments):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        yield chunk({}, self.finish(reply))
        yield sse(head | {"choices": [], "usage": self.usage(reply)})
        yield b"data: [DONE]\n\n"

    def error(self, reply: Reply) -> dict[str, Any]:
        return {"error": {"message": reply.message, "type": "scripted", "code": reply.code}}

    def models(self, query: str) -> dict[str, Any]:
        data = [{"id": name, "object": "model", "owned_by": "muster"} for name in self.names]
        return {"object": "list", "data": data}

    def finish(self, reply: Reply) -> str:
        return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")

    def usage(self, reply: Reply) -> dict[str, Any]:
        tokens = reply.tokens()
        return {
            "prompt_tokens": tokens["input"],
            "completion_tokens": tokens["output"],
            "total_tokens": tokens["input"] + tokens["output"],
            "prompt_tokens_details": {"cached_tokens": tokens["cached"]},
            "completion_tokens_details": {"reasoning_tokens": tokens["reasoning"]},
        }


@dataclass(kw_only=True)
class Call:
    """One request that was made. `hash` is the same for the same conversation."""

    number: int
    path: str
    key: str
    headers: dict[str, str]
    body: dict[str, Any]
    hash: str
    at: float
    port: int
    closed_early: bool = False


class ScriptedServer:
    """The ASGI application."""

    def __init__(
        self, script: Script | None = None, *, wire: Wire | None = None, latency_ms: float = 0
    ) -> None:
        self.script = script or Script()
        self.wire: Wire = wire or OpenAIWire()
        self.latency_s = latency_ms / 1000
        self.base_url = ""
        self.model_list_reply: Reply | None = None
        self.reset()

    def reset(self) -> None:
        self.calls: deque[Call] = deque(maxlen=_REMEMBERED_CALLS)
        self.count = 0
        self.by_key: Counter[str] = Counter()
        self.by_hash: Counter[str] = Counter()
        self.model_list_headers: list[dict[str, str]] = []

    @property
    def last(self) -> Call:
        return self.calls[-1]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if path.startswith("/_"):
            await self._administer(path, receive, send)
        elif scope["method"] == "GET" and "/models" in path:
            await self._list_models(scope, send)
        elif self.wire.asks(path):
            await self._complete(scope, receive, send)
        else:
            await _send_json(send, 404, {"error": {"message": f"nothing at {path}"}})

    async def _administer(self, path: str, receive: Any, send: Any) -> None:
        body = await _read(receive)
        if path == "/_script":
            self.script = script_from(_decode(body))
        elif path == "/_reset":
            self.reset()
        view = {
            "count": self.count,
            "by_key": dict(self.by_key),
            "by_hash": dict(self.by_hash),
            "repeated": sorted(key for key, times in self.by_hash.items() if times > 1),
            "calls": [
                {"number": call.number, "hash": call.hash, "key": call.key, "body": call.body}
                for call in self.calls
            ],
        }
        await _send_json(send, 200, view)

    async def _list_models(self, scope: Any, send: Any) -> None:
        self.model_list_headers.append(_headers(scope))
        reply = self.model_list_reply
        if reply and reply.hang:
            await asyncio.Event().wait()
        if reply and reply.garbage is not None:
            await _send_json(send, 200, reply.garbage)
        elif reply and reply.status:
            await _send_json(send, reply.status, self.wire.error(reply))
        else:
            await _send_json(send, 200, self.wire.models(scope["query_string"].decode()))

    async def _complete(self, scope: Any, receive: Any, send: Any) -> None:
        body: dict[str, Any] = _decode(await _read(receive))
        call = self._record(scope, body)
        reply = self._choose(call.number, body)
        if wait := self.latency_s + reply.delay_s:
            await asyncio.sleep(wait)
        if reply.hang:
            await _until_closed(receive, call)
        elif reply.drop == "before":
            _break(send)
        elif reply.garbage is not None:
            await _send(send, 200, reply.garbage.encode(), {"content-type": "text/html"})
        elif reply.status is not None:
            await _send_json(send, reply.status, self.wire.error(reply), reply.headers)
        elif self.wire.streams(scope["path"], body):
            await self._stream(reply, call, receive, send)
        else:
            headers = {"x-request-id": f"req_{call.number}"} | reply.headers
            await _send_json(send, 200, self.wire.answer(reply, body, call.number), headers)

    async def _stream(self, reply: Reply, call: Call, receive: Any, send: Any) -> None:
        headers = {"content-type": "text/event-stream", "x-request-id": f"req_{call.number}"}
        await _start(send, 200, headers | reply.headers)
        events = [sse(event) for event in reply.events]
        events = events or list(self.wire.events(reply, call.body, call.number))
        for index, event in enumerate(events):
            if reply.drop == "middle" and index > len(events) // 2:
                _break(send)
                return
            if index == reply.hang_after:
                await _until_closed(receive, call)
                return
            await send({"type": "http.response.body", "body": event, "more_body": True})
            if reply.chunk_delay_s:
                await asyncio.sleep(reply.chunk_delay_s)
        await send({"type": "http.response.body", "body": b""})

    def _record(self, scope: Any, body: dict[str, Any]) -> Call:
        headers = _headers(scope)
        said = body.get("messages") or body.get("contents")
        digest = hashlib.sha256(_encode(said, order="sorted")).hexdigest()[:16]
        key = headers.get("authorization", "").removeprefix("Bearer ")
        key = key or headers.get("x-api-key") or headers.get("x-goog-api-key") or ""
        call = Call(
            number=self.count,
            path=scope["path"],
            key=key,
            headers=headers,
            body=body,
            hash=digest,
            at=time.time(),
            port=scope["client"][1],
        )
        self.count += 1
        self.by_key[key] += 1
        self.by_hash[digest] += 1
        self.calls.append(call)
        return call

    def _choose(self, number: int, body: dict[str, Any]) -> Reply:
        if self.script.select == "call":
            return self.script.replies[min(number, len(self.script.replies) - 1)]
        said = self.wire.conversation(body)
        if self.script.select == "turn":
            return self.script.replies[min(said.assistant_turns, len(self.script.replies) - 1)]
        done = said.tool_results
        if said.tools and done < self.script.rounds:
            name, schema = said.tools[done % len(said.tools)]
            arguments = example(schema, said.user_text)
            id_ = f"call_{said.assistant_turns}_{done}"
            return Reply(tool_calls=[{"id": id_, "name": name, "arguments": arguments}])
        if said.schema is not None:
            return Reply(text=_encode(example(said.schema, said.user_text)).decode())
        return Reply(text=self.script.text)


def pieces(text: str, size: int = 8) -> list[str]:
    """Cut a text into the pieces of a stream."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def sse(data: Any, event: str | None = None) -> bytes:
    """Return one server-sent event."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + _encode(data) + b"\n\n"


@contextlib.asynccontextmanager
async def model_server(
    script: Script | list[Reply] | None = None,
    *,
    wire: Wire | None = None,
    latency_ms: float = 0,
    path: str = "/v1",
) -> AsyncIterator[ScriptedServer]:
    """Run a scripted server in this event loop; `base_url` of what is yielded ends with `path`."""
    if isinstance(script, list):
        script = Script(select="call", replies=script)
    server = ScriptedServer(script, wire=wire, latency_ms=latency_ms)
    async with served(server) as url:
        server.base_url = url + path
        yield server


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Run an ASGI application on a free port of 127.0.0.1 and yield its URL."""
    async with serving(app, grace_s=0, ws="none") as address:
        yield f"http://{address}"


def _headers(scope: Any) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in scope["headers"]}


async def _read(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _until_closed(receive: Any, call: Call) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    call.closed_early = True


def _break(send: Any) -> None:
    send.__self__.transport.abort()


async def _start(send: Any, status: int, headers: dict[str, str]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def _send(send: Any, status: int, body: bytes, headers: dict[str, str]) -> None:
    await _start(send, status, headers | {"content-length": str(len(body))})
    await send({"type": "http.response.body", "body": body})


async def _send_json(
    send: Any, status: int, data: Any, headers: dict[str, str] | None = None
) -> None:
    await _send(send, status, _encode(data), {"content-type": "application/json"} | (headers or {}))


def main() -> None:
    """Run the server in this process until it is stopped."""
    parser = argparse.ArgumentParser(description="Scripted model server for tests and benchmarks")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--script", help="JSON file; without one, tools are called once each run")
    parser.add_argument("--latency-ms", type=float, default=0)
    arguments = parser.parse_args()
    script = None
    if arguments.script:
        with open(arguments.script, "rb") as file:  # noqa: PTH123
            script = script_from(_decode(file.read()))
    app = ScriptedServer(script, latency_ms=arguments.latency_ms)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=arguments.port,
        lifespan="off",
        access_log=False,
        log_level="error",
        ws="none",
    )


if __name__ == "__main__":
    main()
