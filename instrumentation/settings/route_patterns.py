"""Routes in a setting: paths, templates, or patterns of these."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

from pydantic import AfterValidator

from instrumentation.settings.faults import Allowed, fault, shown
from instrumentation.settings.types import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUTE = (
    "give a path or a route template that starts with /, such as /items/{item}; "
    "* stands for any text, such as /internal/*"
)
_REGULAR_EXPRESSION = re.compile(r"[\\\[\]^|]|\.[*+]|[*+)]\?|\$$")
_CONVERTOR = re.compile(r"\{(\w+):\w+\}")
_ENCODED = re.compile(r"%[0-9a-fA-F]{2}")


class RoutePatterns:
    """The routes that a setting names.

    >>> "/internal/a/b" in RoutePatterns(["/internal/*", "/health"])
    True

    Args:
        patterns: Paths and templates. ``*`` stands for any text, slashes included; all else stands for itself.

    Attributes:
        exact: Those without ``*``.
        has_wildcards: Whether there are others.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        given = tuple(patterns)
        wild = [pattern for pattern in given if "*" in pattern]
        self.exact = frozenset(given).difference(wild)
        self.has_wildcards = bool(wild)
        self._wild = re.compile("|".join(map(as_regex, wild)) if wild else r"(?!)", re.DOTALL)

    def __bool__(self) -> bool:
        """Whether there is at least one."""
        return bool(self.exact) or self.has_wildcards

    def __contains__(self, path: object) -> bool:
        """Whether a path or a template is named."""
        return path in self.exact or (isinstance(path, str) and self._wild.fullmatch(path) is not None)


def as_regex(pattern: str) -> str:
    """A pattern as a regular expression, which takes time linear in the length of a path.

    >>> as_regex("/a/*/b")
    '/a/.*/b'
    """
    first, *rest = (re.escape(part) for part in re.split(r"\*+", pattern))
    if not rest:
        return first
    *between, last = rest
    # An atomic group is never tried again: the first place where its text fits is as good as any later one.
    return first + "".join(f"(?>.*?{part})" for part in between) + f".*{last}"


def _route_pattern(value: str) -> str:
    """A pattern that some route can match."""
    if not re.fullmatch(r"/[^\s?#]*", value):
        raise fault(ROUTE)
    counted = _CONVERTOR.sub(r"{\1}", value)
    if counted != value:
        raise fault(f"give the template as it is counted, {counted}")
    if _REGULAR_EXPRESSION.search(value):
        raise fault(ROUTE, problem=f"got the regular expression {shown(value)}")
    if _ENCODED.search(value):
        raise fault(f"give the path decoded, {unquote(value)}")
    return value


RoutePattern = Annotated[Text, AfterValidator(_route_pattern), Allowed(text=ROUTE)]
