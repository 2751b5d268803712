"""WebSocket clients that cost next to nothing, so that what is measured is the server."""

import asyncio
import base64
import os
import struct
import time
from collections.abc import Callable
from typing import cast

import msgspec

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_MASK = b"\0\0\0\0"  # masked as the protocol demands, by zeros, which change nothing
_PATIENCE_S = 60

Received = Callable[[bytes, float], None]
"""Called with the payload of each message and the time at which it came."""


class Subscriber(asyncio.Protocol):
    """One client: it connects, subscribes, and notes what comes."""

    def __init__(self, request: bytes, subscription: bytes) -> None:
        self._request, self._subscription = request, subscription
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._upgraded = False
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.messages: list[tuple[float, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not to be asked of the object: those of uvloop have the methods without the class.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._buffer += data
        if not self._upgraded and not self._upgrade():
            return
        while (frame := self._frame()) is not None:
            self._take(*frame, now)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.subscribed.done():
            self.subscribed.set_exception(exc or ConnectionError("the server closed"))

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()

    def _upgrade(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101"):
            self.subscribed.set_exception(ConnectionError(head.decode(errors="replace")))
            self.close()
            return False
        self._buffer, self._upgraded = rest, True
        self._send(_TEXT, self._subscription)
        return True

    def _frame(self) -> tuple[int, bytes] | None:
        """Cut the next whole frame off the buffer: its opcode and payload."""
        if len(self._buffer) < 2:
            return None
        length, start = self._buffer[1], 2
        if length == 126 and len(self._buffer) >= 4:
            length, start = int.from_bytes(self._buffer[2:4], "big"), 4
        elif length >= 126:
            return None  # the rest of the head is still to come; nothing here is above 64 KB
        if len(self._buffer) < start + length:
            return None
        opcode, payload = self._buffer[0] & 15, self._buffer[start : start + length]
        self._buffer = self._buffer[start + length :]
        return opcode, payload

    def _take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == _PING:
            self._send(_PONG, payload)
        elif opcode == _CLOSE:
            self.close()
        elif not self.subscribed.done():
            self.subscribed.set_result(None)
        else:
            self.messages.append((now, payload))

    def _send(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None
        size = len(payload)
        head = bytes([128 | opcode, 128 | size])
        if size > 125:
            head = bytes([128 | opcode, 128 | 126]) + struct.pack("!H", size)
        self._transport.write(head + _MASK + payload)


async def subscribe(port: int, path: str, token: str, events: list[str]) -> Subscriber:
    """Connect to a server of this machine and subscribe."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
    )
    subscription = msgspec.json.encode({"type": "subscribe", "events": events})
    loop = asyncio.get_running_loop()
    _, subscriber = await loop.create_connection(
        lambda: Subscriber(request.encode(), subscription), "127.0.0.1", port
    )
    async with asyncio.timeout(_PATIENCE_S):
        await subscriber.subscribed
    return subscriber
