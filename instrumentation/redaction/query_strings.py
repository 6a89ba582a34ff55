"""Masks the query strings of URLs and paths completely, since any part of one may be a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation.lazy_patterns import lazy_pattern
from instrumentation.redaction.patterns import MASK

if TYPE_CHECKING:
    import re

URL_QUERY = "url_query"
"""The name in ``logging.redaction.allow``."""

KEYS = ("*query string", "query params", "url query")
"""Keys whose value is a query string."""

# Each match starts at a word and never backtracks, so the time grows linearly with the length of a text.
_QUERY = lazy_pattern(r"(?<![^\s\"'<>])([^\s\"'<>?]*+\?)((?:[^\s\"'<>\\]|\\[^\"'])++)")
_FORM = lazy_pattern(r"(?<![^\s\"'<>(,])[\w.%~\[\]-]++=[^\s&\"'<>]*+(?:&[\w.%~\[\]-]++=[^\s&\"'<>]*+)++")
_SLASH = lazy_pattern(r"(?<!\w)/")
_OF_AN_EXPRESSION = lazy_pattern(r"[()^$|]")
_WORD = lazy_pattern(r"[\w%]")
_PAIR = lazy_pattern(r"[\w.%~\[\]-]+=")
_CLOSERS = ").,;:]}"


def without_queries(text: str) -> str:
    """The text without the query strings of URLs and paths, and without separate ones.

    >>> without_queries('"GET /orders/7?code=x HTTP/1.1" of https://shop.example/a?b')
    '"GET /orders/7?*** HTTP/1.1" of https://shop.example/a?***'
    >>> without_queries("page=2&sort=asc, really?")
    '***, really?'
    """
    if "?" in text:
        text = _QUERY.sub(_masked, text)
    return _FORM.sub(_form_masked, text) if "&" in text else text


def _masked(match: re.Match[str]) -> str:
    before, query = match.groups()
    if not ("://" in before or _PAIR.match(query) or (_WORD.match(query) and _is_path(before))):
        return match[0]
    return f"{before}{MASK}{query[len(query.rstrip(_CLOSERS)) :]}"


def _is_path(text: str) -> bool:
    slash = _SLASH.search(text)
    return slash is not None and not _OF_AN_EXPRESSION.search(text, slash.end())  # a regular expression is not a path


def _form_masked(match: re.Match[str]) -> str:
    return f"{MASK}{match[0][len(match[0].rstrip(_CLOSERS)) :]}"
