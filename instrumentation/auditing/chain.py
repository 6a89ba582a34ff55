"""The format of an audit trail: lines of JSON, each with a seal that depends on the previous line's seal.

A seal is HMAC-SHA256 over the previous seal and the bytes of the line, and is stored at the end of the line::

    {"seq":7,"time":"...","event":"user.login","actor":"7f3c","outcome":"success","service":"shop","mac":"<64 digits>"}

docs/decisions/0012-the-audit-trail.md explains the design and what an attacker can still do.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import Any, NamedTuple

ORIGIN = bytes(32)
"""The seal before the first line."""

LONGEST_LINE = 64 * 1024
"""The longest line in bytes, including its end."""

OPENED = "sidelight.opened"
"""The event of the first line of every file, with the id of the key and the last seal of the previous file."""

MENDED = "sidelight.mended"
"""The event of the line after one that was cut short by kill -9 or a full disk; it covers the remains."""

HANDED_OVER = "sidelight.key_changed"
"""The event of the last line of a file if the next file is sealed with another key; it contains the id of that key."""

OURS = "sidelight."
"""The prefix of events that callers may not use."""

_BEFORE, _BEHIND = b',"mac":"', b'"}\n'
SEAL_LENGTH = len(_BEFORE) + 2 * len(ORIGIN) + len(_BEHIND)
"""The number of bytes at the end of each line that contain its seal."""

_HEAD_SIZE = 512  # bytes: one sector, so that it is written atomically
_SEQ = re.compile(rb'{"seq":([0-9]{1,18}),')


class Key:
    """The keys derived from one secret.

    Args:
        secret: The secret.

    Attributes:
        id: The key's id; it does not reveal the secret.
        lines: The key for lines.
        heads: The key for heads. It is different, so that the seal of a line is never valid for a head.
        masked: The key for digests of masked values.
    """

    def __init__(self, secret: bytes) -> None:
        self.id = _derived(secret, "id")[:8].hex()
        self.lines = _derived(secret, "lines")
        self.heads = _derived(secret, "heads")
        self.masked = _derived(secret, "masked")


def _derived(secret: bytes, use: str) -> bytes:
    return hmac.digest(secret, f"sidelight audit {use}".encode(), "sha256")


def sealed(key: bytes, previous: bytes, body: bytes) -> tuple[bytes, bytes]:
    """A line and its seal.

    Args:
        key: A key of ``Key``.
        previous: The seal of the previous line.
        body: A JSON object without its closing brace.
    """
    seal = hmac.digest(key, previous + body, "sha256")
    return body + _BEFORE + seal.hex().encode() + _BEHIND, seal


def seal_of(key: bytes, previous: bytes, line: bytes) -> bytes | None:
    """The seal of a line, or None if any byte of the line is wrong."""
    expected, seal = sealed(key, previous, line[:-SEAL_LENGTH])
    return seal if hmac.compare_digest(expected, line) else None


def seq_of(line: bytes) -> int | None:
    """The number of a line, valid or not; None if it has none."""
    match = _SEQ.match(line)
    return int(match[1]) if match else None


def as_json(**members: object) -> bytes:
    """Members of a JSON object, in ASCII, without its braces.

    Raises:
        TypeError, ValueError, RecursionError: A value cannot be written as JSON.
    """
    return json.dumps(members, allow_nan=False, separators=(",", ":"))[1:-1].encode("ascii")


def as_members(line: bytes) -> dict[str, Any]:
    """The members of a valid line."""
    members: dict[str, Any] = json.loads(line)
    return members


class Head(NamedTuple):
    """The state of a trail.

    Attributes:
        seq: The number of its last line; 0 before the first.
        seal: The seal of that line.
        size: The size of the file that contains it, in bytes up to its end.
        key: The id of the key that sealed it.
    """

    seq: int
    seal: bytes
    size: int
    key: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.seal.hex()}"

    def as_block(self, key: Key) -> bytes:
        """The content of the head's file: a line, padded with blanks to a sector."""
        seal = self.seal.hex().encode()
        body = b'{"seq":%d,"last":"%s","bytes":%d,"key":"%s"' % (self.seq, seal, self.size, key.id.encode())
        return sealed(key.heads, ORIGIN, body)[0][:-1].ljust(_HEAD_SIZE - 1) + b"\n"


def head_in(block: bytes, keys: dict[str, Key]) -> Head | None:
    """The head in a block; None if the block is not a valid head.

    Raises:
        KeyError: It is sealed with a key that is not given.
    """
    try:
        found = json.loads(block)
        head = Head(int(found["seq"]), bytes.fromhex(found["last"]), int(found["bytes"]), str(found["key"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return head if hmac.compare_digest(head.as_block(keys[head.key]), block) else None


class Batch:
    """Lines to write, sealed one after the other.

    Args:
        key: The key that seals them.
        head: The head that they follow.

    Attributes:
        key: The key that seals them.
        seq: The number of the last line.
        seal: Its seal.
        text: The lines.
    """

    def __init__(self, key: Key, head: Head) -> None:
        self.key = key
        self.seq, self.seal = head.seq, head.seal
        self.text = b""

    def add(self, members: bytes) -> None:
        """Add a line, in the format of ``as_json``."""
        self.seq += 1
        line, self.seal = sealed(self.key.lines, self.seal, b'{"seq":%d,' % self.seq + members)
        self.text += line
