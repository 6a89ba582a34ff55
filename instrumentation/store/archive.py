"""The counters of dead workers that a worker has merged, in one file that is replaced as a whole."""

from __future__ import annotations

import json
import zlib
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from instrumentation.store import series_index
from instrumentation.store.table import HEAD, Part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from instrumentation.store.merge import Sums


@dataclass(eq=False)
class Archive(Part):
    """Counters of dead workers; a series may have several rows.

    Attributes:
        folded: The workers in it, each with the time when it was merged, in seconds since 1970. Their files may still
            exist, or be held open by another worker.
    """

    folded: Mapping[str, float] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        """The file."""
        lines = [series_index.line(key) for key, _ in self.rows]
        return _signed(b"".join((json.dumps(self.folded).encode(), b"\n", *lines, b"\n", bytes(self.slots))))


def archived(sums: Sums, folded: Mapping[str, float]) -> Archive:
    """An archive of the current sums. Rounding errors get a separate row, so that merging does not change any sum."""
    rows, slots = [], array("d")
    for key, numbers in sums.exact():
        rows.append((key, len(slots) + HEAD))
        slots.extend(numbers)
    return Archive(rows, slots, folded)


def read(path: Path) -> Archive:
    """The archive in a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is incomplete or not an archive.
    """
    text = path.read_bytes()
    whole = text[len(_signed(b"")) :]
    if text != _signed(whole):
        raise ValueError("its checksum is wrong")
    head, _, numbers = whole.partition(b"\n\n")
    folded, _, lines = (head + b"\n").partition(b"\n")
    slots = array("d", numbers)
    return Archive(series_index.read(lines, 0, len(slots)).rows, slots, json.loads(folded))


def _signed(text: bytes) -> bytes:
    return b"%08x\n%b" % (zlib.crc32(text), text)
