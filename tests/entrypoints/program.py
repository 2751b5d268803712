"""The program as a process of its own, with what it prints."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MUSTER = str(Path(sys.executable).with_name("muster"))
PATIENCE_S = 90
_COLOURS = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")


class Program:
    """A running command. `terminal` gives it one, with somebody who can type."""

    def __init__(self, *arguments: str, terminal: bool = False, **environment: str) -> None:
        self._master = -1
        streams: dict[str, int] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
        if terminal:
            self._master, end = pty.openpty()
            streams = {"stdin": end, "stdout": end}
        self.process = subprocess.Popen(
            [MUSTER, *arguments],
            env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **environment},
            stderr=subprocess.STDOUT,
            **streams,  # type: ignore[arg-type]
        )
        if terminal:
            os.close(streams["stdin"])
        self._said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stdout = self.process.stdout
        source = self._master if stdout is None else stdout.fileno()
        while True:
            try:
                data = os.read(source, 65536)
            except OSError:  # the other end of a terminal is closed
                return
            if not data:
                return
            self._said += data.decode(errors="replace")

    @property
    def said(self) -> str:
        """What was printed so far, without colours."""
        return _COLOURS.sub("", self._said)

    def wait_for(self, text: str) -> str:
        """Return what was printed once `text` is among it."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.said:
            if time.monotonic() > deadline or self.process.poll() is not None:
                self._reader.join(5)
                assert text in self.said, f"{text!r} was not said:\n{self.said}"
            time.sleep(0.02)
        return self.said

    def type(self, line: str) -> None:
        """Type a line at the terminal."""
        os.write(self._master, f"{line}\n".encode())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End the process without a chance to put anything away."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def code(self) -> int:
        """Return the exit code once the process has ended."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(5)
        return code

    def close(self) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            self.kill()
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()
        if self._master >= 0:
            os.close(self._master)


@contextmanager
def program(*arguments: str, terminal: bool = False, **environment: str) -> Iterator[Program]:
    """Run the program while the block lasts."""
    running = Program(*arguments, terminal=terminal, **environment)
    try:
        yield running
    finally:
        running.close()


def until(condition: object, what: str) -> None:
    """Wait for a condition, given as a function."""
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)
