"""Django: its handler resolves each request to a pattern of the URLconf, which is reported."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks.interface import UNMATCHED, listed, report, reported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrumentation.http.frameworks.interface import Respond, Route, Scope

_IS_REGEX = re.compile(r"[\^$\\]|\(\?P?[<:]")
_PIECES = re.compile(
    r"(?P<anchor>\\[AZbB]|[\^$])|(?P<kind>\\[dDsSwW])|\\(?P<escaped>.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|\(\?P<(?P<name>\w+)>|(?P<plain>\(\?:)|(?P<look>\(\?[^P:])|(?P<open>\()|(?P<close>\))|(?P<repeat>[?*+]|\{\d*,?\d*\})|(?P<text>.)"
)
_OF_FUNCTIONS = frozenset(("GET", "POST"))
"""The methods listed for a view that is a function: which ones it accepts, only the function knows."""


class Django:
    """A handler of Django, of ASGI or of WSGI."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._resolve = handler.resolve_request
        handler.resolve_request = self._resolving

    def routes(self) -> Iterator[Route]:
        """Every pattern of the URLconf."""
        from django.urls import get_resolver  # noqa: PLC0415 - the app has loaded it

        for route, callback in _walk(get_resolver().url_patterns, ""):
            yield listed(template_of(route), _methods(callback))

    def chosen(self, scope: Scope) -> str:
        """The pattern that was resolved, such as ``/items/<int:item>/``."""
        return reported(scope, self._handler)

    def match(self, scope: Scope, path: str) -> str:
        """The pattern that matches a path, if a middleware answered before it was resolved."""
        from django.urls import Resolver404, resolve  # noqa: PLC0415 - the app has loaded it

        del scope
        try:
            return template_of(resolve(path).route)
        except Resolver404:
            return UNMATCHED

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class that the app's own middleware has not answered."""
        from django.http import HttpResponse  # noqa: PLC0415 - the app has loaded it

        def process_exception(_: Any, error: Any) -> Any:
            if not isinstance(error, kind):
                return None
            document = respond(error)
            return HttpResponse(document.body, status=document.status, headers=document.all_headers)

        self._handler._exception_middleware.append(process_exception)  # noqa: SLF001 - Django has no public function

    def _resolving(self, request: Any) -> Any:
        match = self._resolve(request)
        report(getattr(request, "scope", None) or request.environ, self._handler, template_of(match.route))
        return match


def _walk(patterns: Iterable[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for each in patterns:
        route = prefix + str(each.pattern)
        if hasattr(each, "url_patterns"):
            yield from _walk(each.url_patterns, route)
        else:
            yield route, each.callback


def _methods(callback: Any) -> Iterable[str]:
    """The methods of a view; Django REST Framework keeps its class, or its actions, on the function."""
    if actions := getattr(callback, "actions", None):
        return {method.upper() for method in actions}
    kind = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    if kind is None:
        return _OF_FUNCTIONS
    return {method.upper() for method in kind.http_method_names if hasattr(kind, method)}


@lru_cache(4096)
def template_of(route: str) -> str:
    r"""A route of Django with a leading slash, and a regular expression in the notation of ``path()``.

    >>> template_of("items/<int:item>/"), template_of(r"^items/(?P<item>\d+)/(?:page-([0-9]+)/)?$")
    ('/items/<int:item>/', '/items/<item>/page-<var>/')
    """
    if not _IS_REGEX.search(route):
        return f"/{route}"
    text = ""
    is_shown = [True]  # for each open group, whether its content is shown
    for piece in _PIECES.finditer(route):
        kind = piece.lastgroup
        if kind in {"name", "plain", "look", "open"}:
            text += f"<{piece['name'] or 'var'}>" if is_shown[-1] and kind in {"name", "open"} else ""
            is_shown.append(is_shown[-1] and kind == "plain")
        elif kind == "close" and len(is_shown) > 1:
            is_shown.pop()
        elif is_shown[-1] and kind in {"kind", "escaped", "set", "text"}:
            text += piece[kind]
    return f"/{text}"
