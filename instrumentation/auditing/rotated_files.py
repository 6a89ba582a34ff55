"""Finds the earlier files of an audit trail, whether Sidelight or logrotate rotated them, and opens them, compressed or not."""

from __future__ import annotations

import gzip
import re
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from instrumentation.auditing.chain import LONGEST_LINE, OPENED, as_members
from instrumentation.auditing.trail import rotated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CORRUPT = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading a compressed file raises that was cut or changed."""

_LOGROTATE = r"(?:\.[0-9]{1,5}|-[0-9]{8}(?:[0-9]{2})?(?:-[0-9]+)?)(?:\.gz)?"  # with and without `dateext`


def opened(file: Path) -> BinaryIO:
    """Open a file to read it.

    Raises:
        OSError: It cannot be opened.
    """
    return cast("BinaryIO", gzip.open(file)) if file.suffix == ".gz" else file.open("rb")


def earlier_files(path: Path) -> list[Path]:
    """The rotated files of a trail, oldest first.

    logrotate gives a file another number with each rotation, or a date. So its files are ordered by the numbers of their
    first entries; nobody without the key can change these without being found.
    """
    own = [file for _, file in rotated(path)]
    others = list(_rotated_by_logrotate(path))
    if not others:
        return own
    return [file for _, file in sorted([*((_first_number(file) or 0, file) for file in own), *others])]


def _rotated_by_logrotate(path: Path) -> Iterator[tuple[int, Path]]:
    named = re.compile(re.escape(path.name) + _LOGROTATE)
    for file in path.parent.iterdir():
        if named.fullmatch(file.name) and (number := _first_number(file)):
            yield number, file


def _first_number(file: Path) -> int | None:
    """The number of a file's first line; None if that is not the first line of an audit file."""
    with suppress(*CORRUPT, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        with opened(file) as stream:
            members = as_members(stream.readline(LONGEST_LINE + 1))
        if members["event"] == OPENED:
            return int(members["seq"])
    return None
