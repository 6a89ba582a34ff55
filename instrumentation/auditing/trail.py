"""The files of an audit trail, written by many processes concurrently.

A writer locks the head's file, reads the head, appends its entry, and writes the new head. So no writer has to search for the
end of the trail. A writer that is killed in between leaves a trail that is longer than its head, or an incomplete line.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import re
import secrets
import stat
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from instrumentation.auditing.chain import (
    HANDED_OVER,
    LONGEST_LINE,
    MENDED,
    OPENED,
    ORIGIN,
    Batch,
    Head,
    as_json,
    head_in,
    seal_of,
)
from instrumentation.auditing.entry import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from instrumentation.auditing.chain import Key

_log = logging.getLogger("instrumentation.audit")

PATIENCE = 2.0  # seconds; only a hanging process or disk holds the lock for that long
_FIRST_PAUSE, _LONGEST_PAUSE = 0.00005, 0.005  # seconds
_BLOCK = 512
_MISSING = (
    logging.WARNING,
    "moved away, for example by logrotate, emptied or deleted while this process did not use it",
)
_MOVED = (logging.WARNING, "moved away, for example by logrotate")
_DELETED = (logging.ERROR, "deleted")
_EMPTIED = (
    logging.ERROR,
    "emptied, for example by logrotate's copytruncate, which loses entries that are written meanwhile; let it rename the file",
)
_MODE = 0o600
# A link could lead elsewhere, and opening a pipe would block.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class AuditTrail:
    """Appends to a trail.

    Args:
        path: The file. ``<path>.head`` is beside it, and ``<path>.000001`` and so on after rotation.
        keys: Keys by their ids. The first one seals, until another process changes to another of them.
        max_bytes: The size at which a file is rotated; None for no limit.
        durable: Whether a file must be on disk before the next one begins.
        damaged: Called if somebody else has shortened, emptied or deleted the trail; that is logged too.

    Attributes:
        path: The file.
        patience: Seconds to wait for other writers.
    """

    def __init__(
        self,
        path: Path,
        keys: Mapping[str, Key],
        *,
        max_bytes: int | None = None,
        durable: bool = True,
        damaged: Callable[[], object] = lambda: None,
    ) -> None:
        self.path = path
        self.patience = PATIENCE
        self._keys = dict(keys)
        self._key = next(iter(self._keys.values()))
        self._has_changed_key = False
        self._max_bytes = max_bytes
        self._durable = durable
        self._damaged = damaged
        self._lock = threading.Lock()
        self._file: _File | None = None
        self._head_file: _File | None = None
        self._end_of_file = _MISSING
        self._block, self._head = b"", Head(0, ORIGIN, 0, self._key.id)
        after_fork(self.reset)

    def append(self, members: bytes) -> Head:
        """Append an entry.

        Args:
            members: The members, as from ``entry``.

        Returns:
            The head, which describes this entry.

        Raises:
            OSError: It was not written, or may not have been; the next call repairs what is left of it.
        """
        with self._turn():
            head = self._with_our_key(self._found())
            if head.size and self._is_full(head, len(members)):
                head = self._rotated(head)
            return self._add(self._key, head, members)

    def open(self) -> None:
        """Open the files, and create them if they do not exist.

        Raises:
            OSError: They cannot be used.
        """
        with self._turn():
            self._found()

    def sync(self) -> None:
        """Wait until everything that this process wrote is on disk; other processes may write in the meantime.

        Raises:
            OSError: The disk refuses.
        """
        with self._lock:
            if self._file is None:
                return
            fd = os.dup(self._file.fd)
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def head(self) -> Head | None:
        """The current head of the trail, written by any process; None if it cannot be read."""
        return read_head(self.path, self._keys)

    def close(self) -> None:
        """Close the files; the next call opens them again."""
        with self._lock:
            self._close()

    def reset(self) -> None:
        """Close the files inherited by a forked child: with them, it would hold the parent's lock."""
        self._lock = threading.Lock()
        self._close()

    # --- One writer at a time -----------------------------------------------------------------------------------------

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self.patience):
            raise _busy()
        try:
            self._wait(time.monotonic() + self.patience)
            try:
                yield
            finally:
                fcntl.flock(self._head_fd, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    def _wait(self, deadline: float) -> None:
        pause = _FIRST_PAUSE
        while not self._is_locked():
            if time.monotonic() > deadline:
                raise _busy()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _is_locked(self) -> bool:
        if self._head_file is None:
            self._head_file = _File(head_path(self.path))
        try:
            fcntl.flock(self._head_file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if self._head_file.size() is not None:
            return True
        self._close()  # the file was removed, so a lock on it does not exclude other writers
        return False

    # --- Where to continue --------------------------------------------------------------------------------------------

    def _found(self) -> Head:
        """The head, with the actual size of the file."""
        head, size = self._read_head(), self._opened_size()
        if head is None:
            if size or rotated(self.path):
                _log.error("audit trail %s: its head is missing or was changed; a new trail begins", self.path)
                self._damaged()
            if size:
                self._rotate()
            return self._keep(Head(0, ORIGIN, 0, self._key.id))
        if size < head.size:
            return self._after_a_cut(head, size)
        return head if size == head.size else self._mended(head, size)

    def _read_head(self) -> Head | None:
        block = os.pread(self._head_fd, _BLOCK, 0)
        if block and block == self._block:
            return self._head
        try:
            return head_in(block, self._keys)
        except KeyError as error:
            raise OSError(
                errno.ENOKEY, f"the trail was sealed with key {error.args[0]!r:.40}, which is not given"
            ) from None

    def _opened_size(self) -> int:
        """The size of the current file, which another process or logrotate may have created."""
        size = None if self._file is None else self._file.size()
        if size is not None:
            self._end_of_file = _EMPTIED
            return size
        gone, self._file, self._end_of_file = self._file, None, _MISSING
        if gone is not None:
            self._end_of_file = _MOVED if gone.has_name() else _DELETED
            gone.close()
        self._file = _File(self.path, os.O_APPEND)
        return self._file.size() or 0

    def _with_our_key(self, head: Head) -> Head:
        """Change to our key if another one sealed the last line: once, so that workers with another order do not change back."""
        if not self._has_changed_key:
            if head.seq and head.key != self._key.id:
                head = self._add(self._keys[head.key], head, self._ours(HANDED_OVER, to=self._key.id))
                head = self._rotated(head)
            self._has_changed_key = True
        elif head.key != self._key.id:
            _log.info("audit trail %s: another process has changed the key to %s", self.path, head.key)
            self._key = self._keys[head.key]
        return head

    def _is_full(self, head: Head, more: int) -> bool:
        return self._max_bytes is not None and head.size + more > self._max_bytes

    def _rotated(self, head: Head) -> Head:
        self._rotate()
        return head._replace(size=0)

    def _rotate(self) -> None:
        """Rename the file to its number, and open a new one."""
        if self._durable:
            os.fdatasync(self._fd)
        number = max((number for number, _ in rotated(self.path)), default=0) + 1
        self.path.rename(self.path.with_name(f"{self.path.name}.{number:06}"))
        self._opened_size()

    def _begin(self, batch: Batch) -> None:
        """Write the first line of a file. Before that, the head records that the file is empty, in case this fails."""
        self._keep(Head(batch.seq, batch.seal, 0, batch.key.id))
        origin = {"previous": batch.seal.hex()} if batch.seq else {"trail": secrets.token_hex(16)}
        batch.add(self._ours(OPENED, key=batch.key.id, **origin))
        if self._durable:
            _sync_folder(self.path.parent)

    # --- Repair -------------------------------------------------------------------------------------------------------

    def _after_a_cut(self, head: Head, size: int) -> Head:
        """Continue after the remaining entries. Numbers continue too, so that the gap stays visible."""
        if not size:
            level, said = self._end_of_file
            _log.log(
                level, "audit trail %s: the file was %s; a new file continues after entry %d", self.path, said, head.seq
            )
            if level >= logging.ERROR:
                self._damaged()
            return head._replace(size=0)
        _log.error("audit trail %s: %d bytes are missing at its end", self.path, head.size - size)
        self._damaged()
        return head._replace(size=size + self._end_line(size))

    def _mended(self, head: Head, size: int) -> Head:
        """Accept lines that are not counted in the head yet, and write a line that covers an incomplete one."""
        key = self._keys[head.key]
        with open(self._fd, "rb", closefd=False) as stream:
            stream.seek(head.size)
            while (line := stream.readline(LONGEST_LINE + 1)) and (seal := seal_of(key.lines, head.seal, line)):
                head = Head(head.seq + 1, seal, head.size + len(line), key.id)
            stream.seek(head.size)
            remains = hashlib.file_digest(stream, "sha256").hexdigest()
        if head.size == size:
            return self._keep(head)
        if not head.size:  # not even the first line is complete, so nothing in this file counts yet
            os.ftruncate(self._fd, 0)
            return head
        _log.warning(
            "audit trail %s: covered %d incomplete bytes after entry %d", self.path, size - head.size, head.seq
        )
        batch = Batch(key, head)
        batch.add(self._ours(MENDED, bytes=size - head.size, sha256=remains))
        return self._write(batch, size + self._end_line(size))

    def _end_line(self, size: int) -> int:
        """Add a line break if the last line has none; returns the number of bytes added."""
        return 0 if os.pread(self._fd, 1, size - 1) == b"\n" else os.write(self._fd, b"\n")

    # --- Writing ------------------------------------------------------------------------------------------------------

    def _ours(self, event: str, **members: object) -> bytes:
        return as_json(time=timestamp(time.time()), event=event, **members)

    def _add(self, key: Key, head: Head, members: bytes) -> Head:
        """Append an entry; if the file is empty, its first line too."""
        batch = Batch(key, head)
        if not head.size:
            self._begin(batch)
        batch.add(members)
        return self._write(batch, head.size)

    def _write(self, batch: Batch, size: int) -> Head:
        """Append lines to a file, and write the new head."""
        if os.write(self._fd, batch.text) < len(batch.text):
            with suppress(OSError):  # if the file may only grow (chattr +a), the next writer repairs it
                os.ftruncate(self._fd, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._keep(Head(batch.seq, batch.seal, size + len(batch.text), batch.key.id))

    def _keep(self, head: Head) -> Head:
        self._block = b""  # if the next statement fails, the content is unknown
        block = head.as_block(self._keys[head.key])
        os.pwrite(self._head_fd, block, 0)
        self._block, self._head = block, head
        return head

    def _close(self) -> None:
        gone, self._file, self._head_file = (self._file, self._head_file), None, None
        for file in filter(None, gone):
            file.close()

    @property
    def _fd(self) -> int:
        return -1 if self._file is None else self._file.fd

    @property
    def _head_fd(self) -> int:
        return -1 if self._head_file is None else self._head_file.fd


def after_fork(reset: Callable[[], None]) -> None:
    """Call a method in every forked child while its object exists."""
    reference = weakref.WeakMethod(reset)

    def in_child() -> None:
        if (held := reference()) is not None:
            held()

    os.register_at_fork(after_in_child=in_child)


class _File:
    """An open file.

    Args:
        path: Its path; it is created if it does not exist.
        flags: Flags in addition to those for reading and writing.

    Attributes:
        fd: Its descriptor.

    Raises:
        OSError: It cannot be opened, or is not a regular file.
    """

    def __init__(self, path: Path, flags: int = 0) -> None:
        self._path = str(path)
        self.fd = os.open(path, _FLAGS | flags, _MODE)
        there = os.fstat(self.fd)
        self._inode = (there.st_ino, there.st_dev)
        if not stat.S_ISREG(there.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "it is not a regular file", self._path)

    def size(self) -> int | None:
        """Its size; None if its path does not exist or is another file."""
        try:
            there = os.lstat(self._path)
        except FileNotFoundError:
            return None
        return there.st_size if (there.st_ino, there.st_dev) == self._inode else None

    def has_name(self) -> bool:
        """Whether it exists under any path."""
        return os.fstat(self.fd).st_nlink > 0

    def close(self) -> None:
        """Close it; a lock held by the parent of a forked child stays."""
        os.close(self.fd)


# --- The files of a trail ---------------------------------------------------------------------------------------------


def head_path(path: Path) -> Path:
    """The path of a trail's head."""
    return path.with_name(f"{path.name}.head")


def rotated(path: Path) -> list[tuple[int, Path]]:
    """The files that the trail has rotated, compressed or not, with their numbers, oldest first."""
    named = re.compile(re.escape(path.name) + r"\.([0-9]{6,})(?:\.gz)?")
    found = [(named.fullmatch(file.name), file) for file in path.parent.iterdir()]
    return sorted((int(match[1]), file) for match, file in found if match)


def read_head(path: Path, keys: dict[str, Key]) -> Head | None:
    """The head of a trail, which others may be writing; None if it is missing, invalid or sealed with another key."""
    for _ in range(3):  # a block that is being written can be read incompletely
        with suppress(OSError, KeyError):
            fd = os.open(head_path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                head = head_in(os.pread(fd, _BLOCK + 1, 0), keys)
            finally:
                os.close(fd)
            if head is not None:
                return head
    return None


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _busy() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, "other processes have locked the trail for too long")
