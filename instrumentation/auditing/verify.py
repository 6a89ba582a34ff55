"""Verifies an audit trail from its first line to its last, and names the first invalid line.

Only one line is in memory at a time, so memory use does not depend on the size of the trail.
"""

from __future__ import annotations

import hashlib
import os
from io import BytesIO
from itertools import takewhile
from os.path import samestat
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from instrumentation.auditing.chain import (
    HANDED_OVER,
    LONGEST_LINE,
    MENDED,
    OPENED,
    ORIGIN,
    as_members,
    seal_of,
    seq_of,
)
from instrumentation.auditing.rotated_files import CORRUPT, earlier_files, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from instrumentation.auditing.chain import Key

_STEP = 1 << 20  # bytes between two calls of progress
_MOST_NOTES = 100
_CHANGE = f'"event":"{HANDED_OVER}"'.encode()


class Place(NamedTuple):
    """A line and a statement about it.

    Attributes:
        file: The file.
        line: The line's number, from 1.
        said: The statement, as the rest of a sentence that starts with the line.
    """

    file: Path
    line: int
    said: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.said}."


class Report(NamedTuple):
    """The result of a verification.

    Attributes:
        lines: The number of valid lines, including those that the trail itself writes.
        files: The number of files read.
        head: The last valid line, as ``number:seal``.
        fault: The first invalid line; None if the trail is intact.
        notes: Observations that are not faults; only the first ones if there are many.
    """

    lines: int
    files: int
    head: str
    fault: Place | None
    notes: tuple[Place, ...]


def verify(
    files: Sequence[Path],
    keys: Mapping[str, Key],
    heads: Mapping[int, bytes],
    *,
    continues: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> Report:
    """Verify a trail.

    Args:
        files: Its files, oldest first. For a single file, its rotated files are added. A name that ends with ``.gz`` is decompressed.
        keys: Keys by their ids, newest first.
        heads: Recorded number to recorded seal: the trail must reach these numbers and have these seals there.
        continues: Whether the first file may follow one that is not given.
        progress: Called with the number of bytes read since the last call.

    Raises:
        OSError: A file cannot be read.
    """
    reader = _Reader(keys, heads, continues=continues, progress=progress)
    with _last(files) as last:
        fault = reader.read([*_before(files, last), files[-1]], last)
    return Report(reader.lines, reader.files, f"{reader.seq}:{reader.seal.hex()}", fault, tuple(reader.notes))


def _last(files: Sequence[Path]) -> BinaryIO:
    """The last file, opened; empty if it has just been rotated and the next one does not exist yet."""
    try:
        return opened(files[-1])
    except FileNotFoundError:
        if len(files) > 1 or not earlier_files(files[-1]):
            raise
        return BytesIO()


def _before(files: Sequence[Path], last: BinaryIO) -> Sequence[Path]:
    """The files before the last one. The last one was opened first, because it may be rotated at any time."""
    if len(files) > 1:
        return files[:-1]
    before = earlier_files(files[-1])
    if isinstance(last, BytesIO):
        return before
    newest = os.fstat(last.fileno())
    return list(takewhile(lambda file: not samestat(newest, file.stat()), before))


class _Reader:
    """Follows the chain; ``seq`` and ``seal`` are those of the last valid line."""

    def __init__(
        self,
        keys: Mapping[str, Key],
        heads: Mapping[int, bytes],
        *,
        continues: bool,
        progress: Callable[[int], object],
    ) -> None:
        self._keys, self._heads = keys, heads
        self._continues, self._progress = continues, progress
        self._key: Key | None = None
        self._end = 1  # the number of the next line
        self._next_key = ""  # the id of the key to which the last valid line changes
        self.lines = self.files = self.seq = 0
        self.seal = ORIGIN
        self.notes: list[Place] = []

    def read(self, files: Sequence[Path], last: BinaryIO) -> Place | None:
        """Read the files, of which the last one is already open, and return the first fault."""
        for file in files[:-1]:
            with opened(file) as stream:
                fault = self._file(file, stream)
            if fault or self._end == 1:
                return fault or Place(file, 1, "is not the first line of an audit file")
        return self._file(files[-1], last) or self._cut(files[-1])

    def _file(self, file: Path, stream: BinaryIO) -> Place | None:
        self.files += 1
        self._end = 1
        try:
            return self._lines(file, stream)
        except CORRUPT:
            return Place(file, self._end, "cannot be decompressed: the file was cut or changed")

    def _lines(self, file: Path, stream: BinaryIO) -> Place | None:
        lines = enumerate(self._told(stream), 1)
        for number, line in lines:
            fault = (self._begins(file, line) if number == 1 else "") or (
                "" if self._follows(line) else self._judged(line)
            )
            if fault and not line.endswith(b"\n") and len(line) <= LONGEST_LINE:
                self._note(Place(file, number, "is an incomplete entry: still being written, or cut short"))
                return None  # nothing follows it; missing entries are detected by the next file or by the head
            if fault:
                _, behind = next(lines, (0, b""))
                if not self._vouches(behind, line):
                    return Place(file, number, fault)
                self._note(Place(file, number, f"is an entry that was cut short; entry {self.seq} records that"))
            if self._heads.get(self.seq, self.seal) != self.seal:
                return Place(file, number, f"differs from the recorded entry {self.seq}")
            self._end = number + 1
        return None

    def _cut(self, file: Path) -> Place | None:
        recorded = max(self._heads, default=0)
        if recorded <= self.seq:
            return None
        return Place(file, self._end, f"is missing: entry {recorded} was recorded, but the last one is {self.seq}")

    def _told(self, stream: BinaryIO) -> Iterator[bytes]:
        read = 0
        while line := stream.readline(LONGEST_LINE + 1):
            read += len(line)
            if read >= _STEP:
                self._progress(read)
                read = 0
            yield line
        self._progress(read)

    def _begins(self, file: Path, line: bytes) -> str:
        """Choose the key of a file by its first line; returns the fault of that line, or an empty string."""
        try:
            members = as_members(line)
            event, given, previous = members["event"], str(members["key"]), bytes.fromhex(members.get("previous", ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            event, given, previous = "", "", b""
        if event != OPENED:
            return "is not the first line of an audit file"
        ages = list(self._keys)
        if given not in ages:
            return f"was sealed with key {given:.40}, which is not given"
        if self._key is not None and ages.index(given) > ages.index(self._key.id):
            if self._next_key != given:  # nobody who has only the older key can have written that line
                return f"was sealed with key {given}, which is older than the key of the previous file"
            said = (
                f"was sealed with key {given}, which is older than {self._key.id}; entry {self.seq} records the change"
            )
            self._note(Place(file, 1, said))
        self._key = self._keys[given]
        if self._continues and self.files == 1:
            self.seal, self.seq = previous or ORIGIN, (seq_of(line) or 1) - 1
        elif (previous or ORIGIN) != self.seal:
            return f"starts a file that does not follow entry {self.seq}: entries between them are missing"
        return ""

    def _follows(self, line: bytes) -> bool:
        seal = None if self._key is None else seal_of(self._key.lines, self.seal, line)
        if seal is None:
            return False
        self.seq, self.seal, self.lines = self.seq + 1, seal, self.lines + 1
        self._next_key = _next_key(line)
        return True

    def _vouches(self, line: bytes, torn: bytes) -> bool:
        if not self._follows(line):
            return False
        members, digest = as_members(line), hashlib.sha256(torn[:-1]).hexdigest()
        return (members["event"], members.get("sha256")) == (MENDED, digest)

    def _judged(self, line: bytes) -> str:
        seq, expected = seq_of(line), self.seq + 1
        if seq is None or not line.endswith(b"\n"):
            return "is not an entry"
        if seq == expected:
            return "has been changed"
        return f"is entry {seq}, but entry {expected} is expected: entries are missing, moved or inserted"

    def _note(self, note: Place) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(note)


def _next_key(line: bytes) -> str:
    """The id of the key to which a valid line changes; usually none."""
    members = as_members(line) if _CHANGE in line else {}
    return str(members["to"]) if members.get("event") == HANDED_OVER else ""
