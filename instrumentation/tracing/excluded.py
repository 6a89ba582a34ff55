"""Decides which requests have no spans: excluded routes, and the URLs in OpenTelemetry's variables."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from instrumentation.settings.route_patterns import RoutePatterns, as_regex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from instrumentation.asgi import Scope


def url_pattern(excluded: Iterable[str]) -> str:
    """The URLs without spans, for OpenTelemetry's instrumentation: the excluded paths, and those in its variables."""
    ours = (f"^[a-z]+://[^/]+{as_regex(path)}$" for path in sorted(excluded))
    return ",".join((*ours, *_named()))


def exclusion(excluded: Iterable[str]) -> Callable[[Scope], bool]:
    """Whether a request gets no span, by its scope.

    Args:
        excluded: Paths; ``*`` stands for any text.
    """
    paths, named = RoutePatterns(excluded), _named()
    exact = paths.exact
    if not (paths.has_wildcards or named):
        return lambda scope: scope["path"] in exact
    urls = re.compile("|".join(named) or r"(?!)")
    return lambda scope: scope["path"] in paths or urls.search(_url(scope)) is not None


def _named() -> list[str]:
    """The patterns of URLs in OpenTelemetry's variables."""
    named = os.environ.get("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS") or os.environ.get("OTEL_PYTHON_EXCLUDED_URLS", "")
    return [pattern for each in named.split(",") if (pattern := each.strip())]


def _url(scope: Scope) -> str:
    """The URL of a request, without its query."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    if not host:
        name, port = scope.get("server") or ("0.0.0.0", 80)  # noqa: S104 - as in OpenTelemetry's instrumentation
        host = name if port == 80 else f"{name}:{port}"  # noqa: PLR2004 - the port of http
    return f"{scope.get('scheme', 'http')}://{host}{scope['path']}"
