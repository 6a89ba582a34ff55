"""The form of an audit trail: lines of JSON, each sealed with the seal of the line before it.

A seal is HMAC-SHA256 over the seal before it and the bytes of the line, and the line ends with it::

    {"seq":7,"time":"...","event":"user.login","actor":"7f3c","outcome":"success","service":"shop","mac":"<64 digits>"}

Why, and what an attacker can still do, stands in docs/decisions/0012-the-audit-trail.md.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import Any, NamedTuple

ORIGIN = bytes(32)
"""The seal before the first line."""

LONGEST_LINE = 64 * 1024
"""Bytes of a line, its end included."""

OPENED = "sidelight.opened"
"""The event of the first line of every file: which key seals it, and the last seal of the file before it."""

MENDED = "sidelight.mended"
"""The event of the line behind one that was torn, by kill -9 or a full disk: it vouches for the remains."""

OURS = "sidelight."
"""How the events begin that callers may not use."""

_BEFORE, _BEHIND = b',"mac":"', b'"}\n'
SEAL_LENGTH = len(_BEFORE) + 2 * len(ORIGIN) + len(_BEHIND)
"""Bytes at the end of each line that are its seal."""

_HEAD_SIZE = 512  # bytes: one sector, so that it is written whole or not at all
_SEQ = re.compile(rb'{"seq":([0-9]{1,18}),')


class Key:
    """What one secret is used for.

    Args:
        secret: The secret.

    Attributes:
        id: Which key it is; it does not give the secret away.
        lines: The key of the lines.
        heads: The key of the heads: what seals a line must never seal a head.
    """

    def __init__(self, secret: bytes) -> None:
        self.id = _derived(secret, "id")[:8].hex()
        self.lines = _derived(secret, "lines")
        self.heads = _derived(secret, "heads")


def _derived(secret: bytes, use: str) -> bytes:
    return hmac.digest(secret, f"sidelight audit {use}".encode(), "sha256")


def sealed(key: bytes, previous: bytes, body: bytes) -> tuple[bytes, bytes]:
    """A line and its seal.

    Args:
        key: Of ``Key``.
        previous: The seal of the line before.
        body: A JSON object without its last brace.
    """
    seal = hmac.digest(key, previous + body, "sha256")
    return body + _BEFORE + seal.hex().encode() + _BEHIND, seal


def seal_of(key: bytes, previous: bytes, line: bytes) -> bytes | None:
    """The seal of a line that is sound to its last byte; None of any other."""
    expected, seal = sealed(key, previous, line[:-SEAL_LENGTH])
    return seal if hmac.compare_digest(expected, line) else None


def seq_of(line: bytes) -> int | None:
    """The number of a line, sound or not; None where it has none."""
    match = _SEQ.match(line)
    return int(match[1]) if match else None


def as_json(**members: object) -> bytes:
    """Members of a JSON object, in ASCII, without its braces.

    Raises:
        TypeError, ValueError, RecursionError: A value is not one of JSON.
    """
    return json.dumps(members, allow_nan=False, separators=(",", ":"))[1:-1].encode("ascii")


def as_members(line: bytes) -> dict[str, Any]:
    """The members of a sound line."""
    members: dict[str, Any] = json.loads(line)
    return members


class Head(NamedTuple):
    """How far a trail has come.

    Attributes:
        seq: The number of its last line; 0 before the first.
        seal: The seal of that line.
        size: Bytes of the file that it stands in, up to its end.
        key: The id of the key that sealed it.
    """

    seq: int
    seal: bytes
    size: int
    key: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.seal.hex()}"

    def as_block(self, key: Key) -> bytes:
        """What stands in the file beside the trail: a line, and blanks up to a sector."""
        seal = self.seal.hex().encode()
        body = b'{"seq":%d,"last":"%s","bytes":%d,"key":"%s"' % (self.seq, seal, self.size, key.id.encode())
        return sealed(key.heads, ORIGIN, body)[0][:-1].ljust(_HEAD_SIZE - 1) + b"\n"


def head_in(block: bytes, keys: dict[str, Key]) -> Head | None:
    """The head that a block holds; None where it is no head, or not to its last byte.

    Raises:
        KeyError: It is sealed with another key than those that are given.
    """
    try:
        found = json.loads(block)
        head = Head(int(found["seq"]), bytes.fromhex(found["last"]), int(found["bytes"]), str(found["key"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return head if hmac.compare_digest(head.as_block(keys[head.key]), block) else None


class Batch:
    """Lines to be written, sealed one after the other.

    Args:
        key: Seals them.
        head: What they follow.

    Attributes:
        key: What seals them.
        seq: The number of the last one.
        seal: Its seal.
        text: The lines.
    """

    def __init__(self, key: Key, head: Head) -> None:
        self.key = key
        self.seq, self.seal = head.seq, head.seal
        self.text = b""

    def add(self, members: bytes) -> None:
        """Add a line, given as ``as_json`` gives it."""
        self.seq += 1
        line, self.seal = sealed(self.key.lines, self.seal, b'{"seq":%d,' % self.seq + members)
        self.text += line
