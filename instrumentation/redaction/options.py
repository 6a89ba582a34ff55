"""The options of a Redactor, for its arguments and for the settings."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from instrumentation.errors import InstrumentationError
from instrumentation.lazy_patterns import lazy_pattern
from instrumentation.redaction.patterns import NUMBERS, PATTERNS, TOKENS
from instrumentation.redaction.query_strings import URL_QUERY
from instrumentation.redaction.sensitive_keys import CLEAR, Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KEY = "give the name of a key, such as diagnosis, or *diagnosis* for keys that hold the word anywhere"
LET_THROUGH = "give a key or a pattern that is masked, such as session_id or email"
PATTERN = "give a regular expression that RE2 supports and that does not match an empty text, such as EMP-[0-9]{6}"

NAMES = frozenset((URL_QUERY, *(pattern.name for table in (PATTERNS, NUMBERS, TOKENS) for pattern in table)))
"""Of the patterns."""

_KEY = lazy_pattern(r"\*?[A-Za-z][A-Za-z0-9 _.-]{0,98}\*?")
_NEEDED = "Redactor: patterns need the package google-re2, which matches in linear time; install sidelight[patterns]."


def is_key(name: object) -> bool:
    """Whether it may be one of ``keys``."""
    return isinstance(name, str) and _KEY.fullmatch(name) is not None


def is_let_through(name: object) -> bool:
    """Whether it may be one of ``allow``: letting through what is not masked anyway would be a slip of the pen."""
    return isinstance(name, str) and is_key(name) and (name in NAMES or Keys().verdict(name) != CLEAR)


def is_pattern(text: object) -> bool:
    """Whether it may be one of ``patterns``; if RE2 is not installed, whether Python supports it."""
    if not isinstance(text, str):
        return False
    try:
        pattern = re.compile(text) if engine() is None else compiled(text)
    except (re.error, ValueError, OverflowError, RecursionError, Warning):
        return False
    return all(match[0] for sample in ("", "a 1-_.") for match in pattern.finditer(sample))


@cache
def engine() -> Any:
    """RE2; None if it is not installed."""
    try:
        return import_module("re2")
    except ImportError:
        return None


def compiled(text: str) -> Any:
    """A pattern for RE2: Python's engine can take exponential time, for patterns that look harmless.

    Raises:
        InstrumentationError: ``redaction_engine_missing``.
        ValueError: RE2 does not support it.
    """
    re2 = engine()
    if re2 is None:
        raise InstrumentationError(_NEEDED, code="redaction_engine_missing")
    options = re2.Options()
    options.log_errors = False  # to stderr
    try:
        return re2.compile(text, options=options)
    except re2.error as error:
        raise ValueError(str(error)) from None


def checked(name: str, given: Iterable[str], fits: Callable[[object], bool], allowed: str) -> tuple[str, ...]:
    """An argument of a Redactor.

    Raises:
        InstrumentationError: ``redaction_invalid``.
    """
    if isinstance(given, str):  # else each of its letters would be one
        raise _invalid(name, given, "give a list")
    items = tuple(given)
    for item in items:
        if not fits(item):
            raise _invalid(name, item, allowed)
    return items


def _invalid(name: str, given: object, allowed: str) -> InstrumentationError:
    return InstrumentationError(
        f"Redactor: {name} got {given!r:.60}; {allowed}.", code="redaction_invalid", details={"parameter": name}
    )
