"""HTTP clients that record each call of a model they send, for SDKs that take a client of yours."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar, cast

import httpx2

from muster.sdk.client import Muster
from muster.sdk.errors import SdkError
from muster.sdk.model_calls import Wire, asked, input_of, read
from muster.sdk.steps import Step
from muster.sdk.tasks import Task

logger = logging.getLogger("muster.sdk")

Sync = TypeVar("Sync", bound=httpx2.Client)
Async = TypeVar("Async", bound=httpx2.AsyncClient)
Raised = Callable[[SdkError], SdkError]
"""Makes of an error of this SDK one that the model's SDK lets through."""

_MOST_KEPT = 4 * 2**20
_FIRST_ERROR = 400


class AnswerFailed(Exception):
    """The provider answered with an error; its status is the message."""


class Call:
    """One call of a model: a step of the current task, or of a task made for it.

    A streamed answer may end anywhere, so nothing here is tied to the context it began in.
    """

    def __init__(self, muster: Muster, name: str, **step: Any) -> None:
        current = muster.current_task()
        self._own = muster.task(name=name) if current is None else None
        self.step = (current or cast("Task", self._own)).step("step.model", name, **step)

    def begin(self) -> None:
        if self._own is not None:
            self._own.start()
        try:
            self.step.begin()
        except SdkError as error:
            self.end(error)
            raise

    def end(self, error: BaseException | None = None) -> None:
        self.step.finish(error)
        if self._own is not None:
            self._own.output = self.step.output
            self._own.finish(error)

    async def abegin(self) -> None:
        if self._own is not None:
            await self._own.astart()
        try:
            await self.step.abegin()
        except SdkError as error:
            await self.aend(error)
            raise

    async def aend(self, error: BaseException | None = None) -> None:
        await self.step.afinish(error)
        if self._own is not None:
            self._own.output = self.step.output
            await self._own.afinish(error)


class Recorder:
    """Makes a step of a request, and reads the answer into it.

    Args:
        muster: The client.
        wire: The provider's protocol.
        provider: Whose prices count; the protocol's own by default.
        gate: Whether policies are asked before each call.
    """

    def __init__(self, muster: Muster, wire: Wire, provider: str | None, *, gate: bool) -> None:
        self._muster, self._wire, self._gate = muster, wire, gate
        self._provider = provider or wire.provider

    def call(self, request: httpx2.Request) -> Call | None:
        """Return the call that a request is, or None for one that calls no model."""
        if request.method != "POST" or not self._wire.is_model_call(request.url.path):
            return None
        try:
            body = asked(request.content)
        except httpx2.RequestNotRead:  # an upload that is streamed
            return None
        if body is None:
            return None
        model = str(body["model"])
        properties = {
            "model": model,
            "provider": self._provider,
            "streamed": body.get("stream") is True,
        }
        given = input_of(body)
        return Call(self._muster, model, input=given, properties=properties, gate=self._gate)

    def told(self, step: Step, answer: httpx2.Response, content: bytes) -> Exception | None:
        """Read an answer into its step; return the error that it was, if it was one."""
        if answer.status_code >= _FIRST_ERROR:
            return AnswerFailed(f"{self._provider} answered {answer.status_code}")
        told = read(self._wire, content, answer.headers.get("content-type", ""))
        step.output = told.output
        if told.usage is not None:
            step.properties["usage"] = dict(told.usage)
        if told.model:
            step.properties["answering_model"] = told.model
        if told.response_id:
            step.properties["response_id"] = told.response_id
        return None


def decoded(answer: httpx2.Response, raw: bytes) -> bytes:
    """Return what the pieces of a stream say; nothing where they broke off while compressed."""
    encoding = answer.headers.get("content-encoding")
    if encoding is None:
        return raw
    try:
        return httpx2.Response(200, headers={"content-encoding": encoding}, content=raw).content
    except httpx2.DecodingError:
        return b""


class _Kept:
    """The beginning of a stream, while it passes."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        if self._size <= _MOST_KEPT:
            self._pieces.append(piece)
            self._size += len(piece)

    def content(self) -> bytes:
        return b"".join(self._pieces)


class _Stream(httpx2.SyncByteStream):
    """A stream that ends its step when it is closed."""

    def __init__(
        self, stream: httpx2.SyncByteStream, end: Callable[[bytes, BaseException | None], None]
    ) -> None:
        self._stream, self._end = stream, end
        self._kept, self._error = _Kept(), cast("BaseException | None", None)

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._stream:
                self._kept.add(piece)
                yield piece
        except Exception as error:
            self._error = error
            raise

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._end(self._kept.content(), self._error)


class _AsyncStream(httpx2.AsyncByteStream):
    """A stream that ends its step when it is closed."""

    def __init__(self, stream: httpx2.AsyncByteStream, end: Callable[..., Any]) -> None:
        self._stream, self._end = stream, end
        self._kept, self._error = _Kept(), cast("BaseException | None", None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                self._kept.add(piece)
                yield piece
        except Exception as error:
            self._error = error
            raise

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._end(self._kept.content(), self._error)


def recording(base: type[Sync], recorder: Recorder, raised: Raised) -> type[Sync]:
    """Return a class of clients that records each call of a model."""

    class Recording(base):
        def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            call = recorder.call(request)
            if call is None:
                return super().send(request, **options)
            try:
                call.begin()
            except SdkError as error:
                raise raised(error) from error
            try:
                answer = super().send(request, **options)
            except BaseException as error:
                call.end(error)
                raise

            def end(content: bytes, error: BaseException | None) -> None:
                call.end(error or recorder.told(call.step, answer, decoded(answer, content)))

            if answer.is_closed:
                call.end(recorder.told(call.step, answer, answer.content))
            else:
                answer.stream = _Stream(cast("httpx2.SyncByteStream", answer.stream), end)
            return answer

    return cast("type[Sync]", Recording)


def recording_async(base: type[Async], recorder: Recorder, raised: Raised) -> type[Async]:
    """Return a class of asynchronous clients that records each call of a model."""

    class Recording(base):
        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            call = recorder.call(request)
            if call is None:
                return await super().send(request, **options)
            try:
                await call.abegin()
            except SdkError as error:
                raise raised(error) from error
            try:
                answer = await super().send(request, **options)
            except BaseException as error:
                await call.aend(error)
                raise

            async def end(content: bytes, error: BaseException | None) -> None:
                told = recorder.told(call.step, answer, decoded(answer, content))
                await call.aend(error or told)

            if answer.is_closed:
                await call.aend(recorder.told(call.step, answer, answer.content))
            else:
                answer.stream = _AsyncStream(cast("httpx2.AsyncByteStream", answer.stream), end)
            return answer

    return cast("type[Async]", Recording)
