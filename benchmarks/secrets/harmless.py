"""Texts without a secret: identifiers as programs make them, and lines as programs log them."""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable
from typing import TypeAlias

Make: TypeAlias = Callable[[random.Random], str]
_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NANOID = string.ascii_letters + string.digits + "_-"


def _uuid(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))


def _digits(source: random.Random, count: int) -> str:
    return str(source.randrange(10 ** (count - 1), 10**count))


def _numbers(source: random.Random, count: int) -> str:
    return " ".join(_digits(source, 4) for _ in range(count))


IDENTIFIERS: dict[str, Make] = {
    "UUID": lambda source: f"order {_uuid(source)} shipped",
    "three UUIDs": lambda source: f"[req-{_uuid(source)} {_uuid(source).replace('-', '')} {_uuid(source)}] ok",
    "SHA-1": lambda source: f"commit {source.getrandbits(160):040x}",
    "SHA-256": lambda source: f"sha256:{source.getrandbits(256):064x}",
    "trace and span": lambda source: f"trace {source.getrandbits(128):032x} span {source.getrandbits(64):016x}",
    "20 hexadecimal digits": lambda source: f"id {source.getrandbits(80):020x}",
    "MongoDB id": lambda source: f"user {source.getrandbits(96):024x}",
    "ETag": lambda source: f'"{source.getrandbits(128):032x}-12"',
    "ULID": lambda source: "id 01" + "".join(source.choice(_ULID) for _ in range(24)),
    "Nano ID": lambda source: "id " + "".join(source.choice(_NANOID) for _ in range(21)),
    "13 digits": lambda source: f"id {_digits(source, 13)}",
    "16 digits": lambda source: f"id {_digits(source, 16)}",
    "19 digits": lambda source: f"id {_digits(source, 19)}",
    "block id": lambda source: f"blk_-{_digits(source, 19)} terminating",
    "4 counters": lambda source: f"stats {_numbers(source, 4)}",
    "8 counters": lambda source: f"stats {_numbers(source, 8)}",
    "nanoseconds": lambda source: f"at {1_700_000_000 + source.randrange(10**8)}{_digits(source, 9)} ns",
    "float": lambda source: f"x={source.random() * 9:.15f}",
}


def _ip(source: random.Random) -> str:
    return ".".join(str(source.randrange(1, 255)) for _ in range(4))


LINES: dict[str, Make] = {
    "sshd, a failed login": lambda source: (
        f"sshd[{_digits(source, 5)}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
        f"rhost={_ip(source)}"
    ),
    "sshd, an unknown user": lambda source: (
        f"sshd[{_digits(source, 5)}]: pam_unix(sshd:auth): check pass; user unknown"
    ),
    "sshd, a session": lambda source: (
        f"sshd[{_digits(source, 5)}]: pam_unix(sshd:session): session opened for user deploy by (uid=0)"
    ),
    "Windows servicing": lambda source: (
        f"CBS    Session: {_digits(source, 8)}_{_digits(source, 10)} initialized by client WindowsUpdateAgent."
    ),
    "HDFS": lambda source: (
        f"INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_{_digits(source, 17)} terminating"
    ),
    "ZooKeeper": lambda source: (
        f"Established session 0x{source.getrandbits(60):015x} with negotiated timeout 10000 for client /{_ip(source)}:40117"
    ),
    "counters of a step counter": lambda source: (
        f"REPORT : {_numbers(source, 2)} {_digits(source, 6)} {_digits(source, 3)}"
    ),
    "a test runner": lambda source: f"tests pass={source.randrange(900)} fail={source.randrange(9)}, pass: 12, skip: 1",
    "a language model": lambda source: (
        f"prompt_tokens={_digits(source, 4)} completion tokens: {_digits(source, 3)} in, 12 out"
    ),
    "a proxy": lambda source: f"connecting to auth.internal:8443 from {_ip(source)}:{_digits(source, 5)}",
    "a form": lambda source: f"password: must have {source.randrange(8, 20)} characters",
    "a parser": lambda source: f"SyntaxError: Unexpected token: '}}' at line {_digits(source, 3)}",
}
