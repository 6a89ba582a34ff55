"""Writes lines in a thread, from a bounded queue, so that a slow or dead reader never blocks the service."""

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

MOST_BYTES = 4 << 20  # about 10 000 lines
PAUSE_SECONDS = 0.005  # after each write, so that many lines are written together under load
FLUSH_SECONDS = 2.0
_WHOLE = select.PIPE_BUF  # bytes that a pipe takes in one piece (POSIX), so that lines of several workers do not mix
_PATIENCE_MS = 1000


class Writer:
    """Takes lines and writes them to a file descriptor, in order.

    Args:
        descriptor: Where to write.
        lost: Called with the number of lines that were lost, because the queue was full or they could not be written.
        most_bytes: The limit of the queue.
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
        """Put a line into the queue; it is lost if the queue is full."""
        if self._is_closed:
            self._write(line, 1)
        elif self._held > self._most_bytes:
            self._lost(1)
        else:
            self._held += len(line)  # may be wrong by a line after a race of two threads, until the queue is empty
            self._lines.put(line)
            if self._thread is None:
                self._start()

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until the queue is written, for at most some seconds; returns whether it was written."""
        if self._thread is None or self._is_closed:
            return True
        written = threading.Event()
        self._lines.put(written)
        self._hurry.set()
        return written.wait(seconds)

    def close(self) -> None:
        """Flush. From now on each caller writes its line itself, because the process is about to end."""
        if not self._is_closed and self.flush():
            self._is_closed = True
            self._lines.put(None)

    def open(self) -> None:
        """Use the queue and the thread again."""
        if self._is_closed:
            self._begin_anew()
            self._is_closed = False

    def _begin_anew(self) -> None:
        """Start with an empty queue: after a fork, the queue's lines are those of the parent, which writes them."""
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
                except RuntimeError:  # the limit of threads is reached, or the interpreter ends
                    self._thread = None
                    self._write_waiting(self._lines.get())

    def _run(self) -> None:
        lines = self._lines
        while (item := lines.get()) is not None:
            self._write_waiting(item)
            self._hurry.wait(PAUSE_SECONDS)

    def _write_waiting(self, item: bytes | threading.Event | None) -> None:
        """Write an item and all that waits behind it, in pieces that a pipe takes whole."""
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
                except BlockingIOError:  # another program made the descriptor non-blocking
                    poll = select.poll()
                    poll.register(self._descriptor, select.POLLOUT)
                    poll.poll(_PATIENCE_MS)
        except OSError:  # the disk is full, or the reader has gone
            self._lost(lines)


def _weakly(writer: Writer) -> Callable[[], None]:
    """A callback for after a fork. It cannot be unregistered, so it must not keep the writer alive."""
    reference = weakref.ref(writer)

    def after_fork() -> None:
        held = reference()
        if held is not None:
            held._begin_anew()  # noqa: SLF001 - ours

    return after_fork


def _flush_at_its_end(writer: Writer) -> None:
    """Flush when a process forked by multiprocessing ends, since that runs only the exit handlers of multiprocessing."""
    util.Finalize(None, writer.flush, exitpriority=0)
