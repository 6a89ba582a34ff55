"""Decodes percent-encoding, escape sequences, full-width letters and zero-width characters before texts are searched for secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import decimal, normalize
from urllib.parse import unquote

from instrumentation.lazy_patterns import lazy_pattern

if TYPE_CHECKING:
    import re

DISGUISE = lazy_pattern(r"[%\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\U0010ffff]")
"""What any disguise has in it."""

_ESCAPE = lazy_pattern(r"(?<!\\)(?:\\+u([0-9A-Fa-f]{4})|((?:\\+x[0-9A-Fa-f]{2})+))")
_UNSEEN = lazy_pattern(
    "\x1b\\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_DIGIT = lazy_pattern(r"(?![0-9])\d")
_TURNS = 3  # what is encoded more often than that was not encoded by chance


def unfolded(text: str) -> str:
    r"""The text without disguise.

    >>> unfolded("pass%2577ord"), unfolded("pa\u200bss\uff57ord")
    ('password', 'password')
    """
    for _ in range(_TURNS):
        if not DISGUISE.search(text):
            break
        plain = _ESCAPE.sub(_character, unquote(text, errors="replace"))
        plain = _DIGIT.sub(_decimal, _UNSEEN.sub("", normalize("NFKC", plain)))
        if plain == text:
            break
        text = plain
    return text


def _character(match: re.Match[str]) -> str:
    if match[2]:  # bytes, of UTF-8 as a rule
        escaped = bytes.fromhex(match[2].replace("\\", "").replace("x", " "))
        try:
            return escaped.decode()
        except UnicodeDecodeError:
            return escaped.decode("latin-1")
    character = chr(int(match[1], 16))
    return "\ufffd" if "\ud800" <= character <= "\udfff" else character  # half of a character cannot be written


def _decimal(match: re.Match[str]) -> str:
    return str(decimal(match[0]))
