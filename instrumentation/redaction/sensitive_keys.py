"""Finds keys that name a secret: ``dbPassword`` and ``X-Api-Key`` do, ``token_count`` and ``shipping`` do not."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from instrumentation.lazy_patterns import lazy_pattern
from instrumentation.redaction.decoding import unfolded
from instrumentation.redaction.patterns import COUNTED, FEW, HARMLESS, KEYS, NUMBERED, WHOLE_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable

CLEAR, SECRET, COUNTABLE, FEWER, DIGITS = 0, 1, 2, 3, 4
"""Verdicts. Under a countable key a number is not a secret, under a key of few a small number is not, and under one of digits
a text without a digit is not."""

LONGEST_KEY = 100
_CACHED = 2048
_START, _END = "(?:^|[^A-Za-z])", "(?:[^A-Za-z]|$)"


def key_pattern(names: Iterable[str]) -> str:
    """A regular expression for RE2 and Python that finds the keys of these names; see ``KEYS``.

    >>> bool(re.search(key_pattern(["api key", "pin"]), "X-Api-Key"))
    True
    >>> bool(re.search(key_pattern(["api key", "pin"]), "shipping"))
    False
    """
    forms: dict[tuple[bool, bool], list[str]] = {}
    for name in names:
        forms.setdefault((name.startswith("*"), name.endswith("*")), []).append(name.strip("*"))
    return "|".join(_bounded(words, *glued) for glued, words in forms.items())


def _bounded(names: list[str], glued_before: bool, glued_behind: bool) -> str:  # noqa: FBT001 - the two stars of a name
    """The names with their boundaries: a character that is not a letter, or a capital letter after a small one."""
    any_case, camel, capital, upper = (
        "(?:" + "|".join(map(form, names)) + ")" for form in (_any_case, _camel, _capital, str.upper)
    )
    any_case = f"(?i:{any_case})"
    if glued_before and glued_behind:
        return any_case
    if glued_before:
        return f"{any_case}{_END}|(?:{camel}|{capital})[A-Z]|{upper}[A-Z][a-z]"
    return (
        f"{_START}(?:{any_case}{_END}|(?:{camel}|{capital})[A-Z]|{upper}[A-Z][a-z])"
        f"|[A-Za-z0-9]{capital}(?:[^a-z]|$)|[a-z0-9]{upper}(?:[^A-Z]|[A-Z][a-z]|$)"
    )


def _any_case(name: str) -> str:
    return name.replace(" ", r"[\W_]{0,2}")


def _camel(name: str) -> str:
    first, *more = name.split()
    return first + "".join(word.capitalize() for word in more)


def _capital(name: str) -> str:
    return "".join(word.capitalize() for word in name.split())


def words(name: str) -> str:
    """A key as words, the way ``KEYS`` is written.

    >>> words("patientId"), words("*x-diagnosis*")
    ('patient id', '*x diagnosis*')
    """
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.sub(r"[^A-Za-z0-9*]+", " ", parted).strip().lower()


SECRET_KEY = key_pattern(KEYS)
HARMLESS_KEY = (
    rf"(?:(?i:[\W_](?:{'|'.join(map(_any_case, HARMLESS))}))|[a-z0-9](?:{'|'.join(map(_capital, HARMLESS))}))$"
)

_secret = lazy_pattern(SECRET_KEY)
_harmless = lazy_pattern(HARMLESS_KEY)
_counted = lazy_pattern(f"(?:{key_pattern(COUNTED)})$")
_few = lazy_pattern(f"(?:{key_pattern(FEW)})$")
_numbered = lazy_pattern(f"(?:{key_pattern(NUMBERED)})$")
_whole_line = lazy_pattern(key_pattern(WHOLE_LINE))
_phrases = [name.strip("*") for name in KEYS if " " in name]
_prose = lazy_pattern(rf"{_START}(?i:{'|'.join(map(_any_case, _phrases))})$")
_HOST = lazy_pattern(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*[.-][A-Za-z]{2,}")
_TYPES = frozenset(("string", "String", "str", "text", "bytes"))  # of a declaration: var token string = "..."
_LAST_WORDS = frozenset(phrase.split()[-1] for phrase in _phrases)


class Keys:
    """Judges keys.

    Args:
        keys: Names of more secrets; these need no harmless last word to fear.
        allow: Whole keys that are let through.
    """

    def __init__(self, keys: Iterable[str] = (), allow: Iterable[str] = ()) -> None:
        pattern = key_pattern(map(words, keys))
        self._more = re.compile(pattern) if pattern else None
        self._allow = frozenset(map(words, allow))
        self.verdict = lru_cache(_CACHED)(self._verdict)
        self.verdict_backwards = lru_cache(_CACHED)(lambda key: self._verdict(key[::-1]))

    def _verdict(self, key: str) -> int:
        """Whether a key names a secret; ``verdict`` remembers it."""
        key = unfolded(key)
        if self._allow and words(key) in self._allow:
            return CLEAR
        if self._more and self._more.search(key):
            return SECRET
        last = _harmless.search(key)
        if not _secret.search(key) or (last and _secret.search(key[: last.start() + 1])):  # "pIn" ends in no "in"
            return CLEAR
        special = ((COUNTABLE, _counted), (FEWER, _few), (DIGITS, _numbered))
        return next((verdict for verdict, pattern in special if pattern.search(key)), SECRET)

    def is_host(self, key: str, before: str) -> bool:
        """Whether a key with a port after it is a host: after ``://``, or with several labels of which the last is not a secret's name."""
        if before == "://":
            return True
        return _HOST.fullmatch(key) is not None and not (
            _ends_with(_secret, key) or (self._more and self._more.search(key))
        )

    def with_words_before(self, key: str, before: str, *, quoted: bool) -> int:
        """As ``verdict``, for a key in a text with the words before it: ``"api key"`` is one, and so is ``password 2``."""
        if quoted:
            return self.verdict(f"{before} {key}")
        if key in _TYPES or (len(key) == 1 and key.isdigit()):
            return self.verdict(before.rsplit(maxsplit=1)[-1])
        phrase = f"{before} {key}"
        if self._more and _ends_with(self._more, phrase):
            return SECRET
        is_secret = key.lower() in _LAST_WORDS and _prose.search(phrase)
        return CLEAR if not is_secret else DIGITS if _numbered.search(phrase) else SECRET


def _ends_with(pattern: re.Pattern[str], text: str) -> bool:
    return any(match.end() == len(text) for match in pattern.finditer(text))


def takes_whole_line(key: str) -> bool:
    """Whether the value of a key in a text ends with its line."""
    return _whole_line.search(key) is not None
