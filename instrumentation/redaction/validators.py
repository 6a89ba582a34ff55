"""What a regular expression cannot tell: whether what it found is a secret, and where it ends."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")  # twice a digit, and the digits of that added up
_SEPARATOR = re.compile(r"[\s.-]")
_SHORTEST = 13  # characters of a number with a checksum
_HEX = "0123456789abcdefABCDEF-"
_WIDEST = 140  # characters of an identifier
_IDENTIFIERS = frozenset((16, 24, 32, 40, 56, 64, 96, 128))  # digits of spans, documents, UUIDs, commits and hashes
_WORDS_BEHIND_BEARER = frozenset(
    [
        "token",
        "tokens",
        "auth",
        "authentication",
        "authorization",
        "authorisation",
        "scheme",
        "schemes",
        "realm",
        "error",
        "header",
        "headers",
        "credential",
        "credentials",
        "challenge",
        "format",
        "method",
        "methods",
        "types",
        "value",
        "string",
        "required",
        "missing",
        "invalid",
        "expired",
        "rejected",
    ]
)


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the one that ISO/IEC 7812 asks for.

    >>> passes_luhn("4111111111111111"), passes_luhn("4111111111111112")
    (True, False)
    """
    signs = digits.encode()
    return (sum(signs[::-2]) + sum(signs[-2::-2].translate(_DOUBLED)) - ord("0") * len(signs)) % 10 == 0


def passes_mod_97(iban: str) -> bool:
    """Whether the check digits are those that ISO 13616 asks for.

    >>> passes_mod_97("DE89370400440532013000"), passes_mod_97("DE89370400440532013001")
    (True, False)
    """
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1


def _card(match: re.Match[str]) -> int:
    text, start = match.string, match.start()
    before = text[max(0, start - 2) : start]
    if before[-1:].isdigit() or (before[-1:] == "." and before[0].isdigit()):  # within a number, or behind its point
        return 0
    end = _checked(match, passes_luhn, str.isdigit)
    return 0 if end and _is_identifier(text, start, end) else end


def _iban(match: re.Match[str]) -> int:
    return _checked(match, passes_mod_97, str.isalnum)


def _checked(match: re.Match[str], passes: Callable[[str], bool], goes_on: Callable[[str], bool]) -> int:
    """The end of the most groups that pass: what follows may look like one more, such as the year a card expires."""
    groups = _SEPARATOR.split(match[0])
    end = match.end()
    while end - match.start() >= _SHORTEST:
        if not goes_on(match.string[end : end + 1]) and passes("".join(groups)):
            return end
        end -= len(groups.pop()) + 1
    return 0


def _is_identifier(text: str, start: int, end: int) -> bool:
    """Whether digits are part of a longer hexadecimal number of a usual length, such as a trace's."""
    before, behind = text[max(0, start - _WIDEST) : start], text[end : end + _WIDEST]
    around = before[len(before.rstrip(_HEX)) :] + behind[: len(behind) - len(behind.lstrip(_HEX))]
    return any(map(str.isalpha, around)) and len(f"{around}{text[start:end]}".replace("-", "")) in _IDENTIFIERS


def _bearer(match: re.Match[str]) -> int:
    return 0 if match[0][match.end(1) - match.start() :].lower() in _WORDS_BEHIND_BEARER else match.end()


def _basic(match: re.Match[str]) -> int:
    encoded = match[0][match.end(1) - match.start() :].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        pair = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error:
        return 0
    return match.end() if b":" in pair and min(pair) >= ord(" ") else 0


JUDGES: Mapping[str, Callable[[re.Match[str]], int]] = {
    "card": _card, "iban": _iban, "bearer": _bearer, "basic": _basic,
}  # fmt: skip
"""By the name of a pattern: where the secret ends that begins with a match; 0 where there is none."""
