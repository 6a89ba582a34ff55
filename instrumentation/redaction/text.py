"""Masks what is secret in a text, by its form and by the name it is assigned to."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING

from instrumentation.lazy_patterns import lazy_pattern
from instrumentation.redaction.assignments import without_assigned
from instrumentation.redaction.decoding import DISGUISE, unfolded
from instrumentation.redaction.options import compiled
from instrumentation.redaction.patterns import MASK, NUMBERS, PATTERNS, TOKENS
from instrumentation.redaction.query_strings import without_queries
from instrumentation.redaction.validators import JUDGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from instrumentation.redaction.patterns import Pattern
    from instrumentation.redaction.sensitive_keys import Keys

LONGEST_TEXT = 32_000
"""Characters of a text that are read; the rest is masked. A line of a log holds half of it."""

# A text without any of these holds no secret. A search for each is faster than one search for any.
_SIGN = lazy_pattern(r"[=:@%\\<(\[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\U0010ffff]")
_TOKEN = lazy_pattern(r"[A-Zg-z_~][A-Za-z0-9_.+/=-]{12}")
_DIGITS = lazy_pattern(r"[0-9][0-9 \t\r\n.-]{13}")
_WORDS = ("bearer", "basic", "password", "identified")
_SHORTEST_WITHOUT_SIGN = 13
_IDENTIFIER_SIZES = (32, 36)
_IDENTIFIER = lazy_pattern(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")  # a UUID or the id of a trace

_SHORT, _REMEMBERED = 64, 4096  # characters, texts
_GROUP = lazy_pattern(r"[A-Za-z0-9]*")


class Texts:
    """Masks texts.

    Args:
        keys: Judges the names that something is assigned to.
        allow: Names of patterns that are let through.
        patterns: Regular expressions of more secrets, for RE2.
        queries: Whether the queries of URLs are masked as a whole.
        longest: Characters of a text that are read.

    Attributes:
        clear: Short texts that were found to hold no secret; one that does is not remembered.
    """

    def __init__(
        self,
        keys: Keys,
        allow: Iterable[str] = (),
        patterns: Iterable[str] = (),
        *,
        queries: bool = False,
        longest: int = LONGEST_TEXT,
    ) -> None:
        allowed = frozenset(allow)
        self._keys = keys
        self._patterns, self._tokens, self._numbers = (
            [
                (need, mask)
                for pattern in table
                if pattern.name not in allowed
                for mask in [_masking(pattern)]
                for need in pattern.needs
            ]
            for table in (PATTERNS, TOKENS, NUMBERS)
        )
        self._queries = queries
        self._longest = longest
        self._more = [compiled(pattern) for pattern in patterns]
        self.clear: set[str] = set()

    def masked(self, text: str) -> str:
        """The text with its secrets masked."""
        if len(text) <= _SHORT:
            return text if text in self.clear else self._short(text)
        if len(text) > self._longest:
            return self.masked(_whole_words(text[: self._longest])) + MASK
        return self._searched(text) if self._may_hold_a_secret(text) else text

    def _short(self, text: str) -> str:
        masked = self._searched(text) if self._may_hold_a_secret(text) else text
        if masked == text:
            if len(self.clear) >= _REMEMBERED:
                self.clear.clear()
            self.clear.add(text)
        return masked

    def _may_hold_a_secret(self, text: str) -> bool:
        return bool(self._more) or (self._queries and "?" in text) or _may_hold_a_secret(text)

    def _searched(self, text: str) -> str:
        masked = self._undisguised(text)
        if DISGUISE.search(masked):
            plain = unfolded(masked)
            if len(plain) > self._longest:
                return MASK
            found = self._undisguised(plain)
            if found != plain:  # else the text stays as it was written
                return found
        return masked

    def _undisguised(self, text: str) -> str:
        text = _applied(self._patterns, text)
        if self._queries:
            text = without_queries(text)
        has_token, has_digits = _TOKEN.search(text), _DIGITS.search(text)
        if has_token:
            text = _applied(self._tokens, text)
        if has_token or has_digits:
            text = _applied(self._numbers, text)
        if self._more:
            text = text.encode("utf-8", "replace").decode()  # RE2 does not accept surrogates
        for pattern in self._more:
            if pattern.search(text):
                text = pattern.sub(MASK, text)
        return without_assigned(text, self._keys)


def _may_hold_a_secret(text: str) -> bool:
    if len(text) in _IDENTIFIER_SIZES and _IDENTIFIER.fullmatch(text):
        return False
    if _SIGN.search(text) or "--" in text:
        return True
    if len(text) < _SHORTEST_WITHOUT_SIGN:
        return False
    lower = text.lower()
    return bool(_TOKEN.search(text) or _DIGITS.search(text)) or any(word in lower for word in _WORDS)


def _applied(masks: Iterable[tuple[str, Callable[[str], str]]], text: str) -> str:
    lower = text.lower()
    for need, mask in masks:
        if need in lower:
            text = mask(text)
    return text


def _masking(pattern: Pattern) -> Callable[[str], str]:
    """A function that masks what a pattern matches; the pattern is compiled when it is first called."""

    @cache
    def made() -> Callable[[str], str]:
        regex = re.compile(pattern.regex)
        if pattern.judged:
            return partial(_judged, regex, JUDGES[pattern.name])
        before, behind = (rf"\g<{group}>" if regex.groups >= group else "" for group in (1, 2))
        return partial(regex.sub, f"{before}{MASK}{behind}")

    return lambda text: made()(text)  # noqa: PLW0108 - made() compiles


def _judged(regex: re.Pattern[str], judge: Callable[[re.Match[str]], int], text: str) -> str:
    parts, done, at = [], 0, 0
    while match := regex.search(text, at):
        end = judge(match)
        if end:
            parts += [text[done : match.end(1) if regex.groups else match.start()], MASK]
            done = at = end
        else:  # a value that is not a secret may be followed by one
            group = _GROUP.match(text, match.start())
            at = max(match.start() + 1, group.end() if group else 0)
    return "".join([*parts, text[done:]]) if parts else text


def _whole_words(text: str) -> str:
    """The text without its last word, because half of a secret looks like a word."""
    return text[: max(map(text.rfind, " \n\t")) + 1]
