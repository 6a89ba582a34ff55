"""Decides what a regular expression cannot: whether its match is a secret, and where the secret ends."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from instrumentation.lazy_patterns import lazy_pattern
from instrumentation.redaction.patterns import CARDS

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")  # twice a digit, and the digits of that added up
_SEPARATOR = lazy_pattern(r"[\s.-]")
_SHORTEST = 14  # characters of a number with a checksum
_HEX = "0123456789abcdefABCDEF-"
_WIDEST = 140  # characters of an identifier
_IDENTIFIERS = frozenset((16, 24, 32, 40, 56, 64, 96, 128))  # digits of spans, documents, UUIDs, commits and hashes
_SHORTEST_IDENTIFIER = 20  # digits, of which one beside the number is a letter
_BRANDS = [(lazy_pattern(first), lengths) for first, lengths in CARDS]
_GROUPS_BEFORE = lazy_pattern(r"(?:\b[0-9]{1,6}[ \t]){1,20}$")
_GROUPS_BEHIND = lazy_pattern(r"(?:[ \t][0-9]{1,6}\b){1,20}")
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
    end = _checked(match, _is_card, str.isdigit)
    is_another = end and (_is_identifier(text, start, end) or _is_series(text, start, end))
    return 0 if is_another else end


def _is_card(digits: str) -> bool:
    return any(pattern.match(digits) and len(digits) in lengths for pattern, lengths in _BRANDS) and passes_luhn(digits)


def _is_series(text: str, start: int, end: int) -> bool:
    """Whether groups of digits are part of a longer series, such as a line of counters."""
    before, behind = _GROUPS_BEFORE.search(text[max(0, start - _WIDEST) : start]), _GROUPS_BEHIND.match(text, end)
    groups = sum(len(found[0].split()) for found in (before, behind) if found)
    return groups > 1 and not text[start:end].isdigit()


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
    if not any(map(str.isalpha, around)):
        return False
    is_adjacent = text[start - 1 : start].isalpha() or text[end : end + 1].isalpha()
    digits = len(f"{around}{text[start:end]}".replace("-", ""))
    return digits in _IDENTIFIERS or (is_adjacent and digits >= _SHORTEST_IDENTIFIER)


def _email(match: re.Match[str]) -> int:
    is_repository = match[0].startswith("git@") and match.string[match.end() : match.end() + 1] == ":"
    return 0 if is_repository else match.end()


def _curl(match: re.Match[str]) -> int:
    password = match[0][match.end(1) - match.start() :]
    return 0 if password.startswith("$") else match.end()  # a variable of the shell


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
    "card": _card, "iban": _iban, "bearer": _bearer, "basic": _basic, "curl": _curl, "email": _email,
}  # fmt: skip
"""By the name of a pattern: the end of the secret that begins with a match; 0 if there is no secret."""
