"""Writes lines without waiting: a bounded queue and a thread, so that a slow or dead reader never blocks the service."""

from __future__ import annotations

import os
import select
import threading
import weakref
from contextlib import suppress
from multiprocessing import util
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 4 << 20  # some 10 000 lines
PAUSE_SECONDS = 0.005  # after each write: under load lines are written together, those of an idle service at once
FLUSH_SECONDS = 2.0
_WHOLE = select.PIPE_BUF  # what a pipe takes whole (POSIX), so that the lines of several workers never mix within it
_PATIENCE_MS = 1000


class Writer:
    """Takes lines and writes them to a file descriptor, in order.

    Args:
        descriptor: Where to write.
        lost: Called with the number of lines that were lost, because the queue was full or they could not be written.
        most_bytes: How much may wait.
    """

    def __init__(self, descriptor: int, lost: Callable[[int], None], *, most_bytes: int = MOST_BYTES) -> None:
        self._descriptor = descriptor
        self._lost = lost
        self._most_bytes = most_bytes
        self._is_closed = False
        self._begin_anew()
        os.register_at_fork(after_in_child=_weakly(self))
        util.register_after_fork(self, _flush_at_its_end)

    def put(self, line: bytes) -> None:
        """Have a line written soon; one that finds no room is lost."""
        if self._is_closed:
            self._write(line, 1)
        elif self._held > self._most_bytes:
            self._lost(1)
        else:
            self._held += len(line)  # two threads at once may err by a line; an empty queue puts it right
            self._lines.put(line)
            if self._thread is None:
                self._start()

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until what was put is written, but no longer than so many seconds; gives whether it is."""
        if self._thread is None or self._is_closed:
            return True
        written = threading.Event()
        self._lines.put(written)
        self._hurry.set()
        return written.wait(seconds)

    def close(self) -> None:
        """Flush; from now on, since the process is about to end, each caller writes its line at once."""
        if not self._is_closed and self.flush():
            self._is_closed = True
            self._lines.put(None)

    def open(self) -> None:
        """Wait for nobody again."""
        if self._is_closed:
            self._begin_anew()
            self._is_closed = False

    def _begin_anew(self) -> None:
        """Hold nothing: what a forked child finds here is its parent's, who writes it."""
        self._lines: SimpleQueue[bytes | threading.Event | None] = SimpleQueue()
        self._held = 0
        self._hurry = threading.Event()
        self._starting = threading.RLock()  # a signal handler may log too
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sidelight-logs", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no more threads, or the interpreter ends
                    self._thread = None
                    self._write_waiting(self._lines.get())

    def _run(self) -> None:
        lines = self._lines
        while (item := lines.get()) is not None:
            self._write_waiting(item)
            self._hurry.wait(PAUSE_SECONDS)

    def _write_waiting(self, item: bytes | threading.Event | None) -> None:
        """Write an item and all that waits behind it, as much at once as is written whole."""
        batch: list[bytes] = []
        size = 0
        with suppress(Empty):
            while item is not None:
                if isinstance(item, threading.Event):
                    self._write(b"".join(batch), len(batch))
                    batch, size = [], 0
                    self._hurry.clear()
                    item.set()
                else:
                    if size + len(item) > _WHOLE:
                        self._write(b"".join(batch), len(batch))
                        batch, size = [], 0
                    batch.append(item)
                    size += len(item)
                    self._held -= len(item)
                item = self._lines.get_nowait()
        self._held = 0
        self._write(b"".join(batch), len(batch))
        if item is None:
            self._lines.put(None)

    def _write(self, data: bytes, lines: int) -> None:
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:  # somebody made the descriptor non-blocking
                    poll = select.poll()
                    poll.register(self._descriptor, select.POLLOUT)
                    poll.poll(_PATIENCE_MS)
        except OSError:  # a full disk, a reader that is gone
            self._lost(lines)


def _weakly(writer: Writer) -> Callable[[], None]:
    """What the system calls after a fork can never be taken back, so it must not keep the writer."""
    reference = weakref.ref(writer)

    def after_fork() -> None:
        held = reference()
        if held is not None:
            held._begin_anew()  # noqa: SLF001 - ours

    return after_fork


def _flush_at_its_end(writer: Writer) -> None:
    """A process that multiprocessing forked ends without exit handlers, but for those of multiprocessing."""
    util.Finalize(None, writer.flush, exitpriority=0)
