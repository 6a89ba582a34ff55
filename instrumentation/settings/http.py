"""Section ``http``: how requests are counted."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from instrumentation.catalog import HTTP_SECONDS
from instrumentation.settings.faults import Allowed
from instrumentation.settings.route_patterns import RoutePattern
from instrumentation.settings.types import Edges, Section, UrlPath

Routes = Annotated[
    tuple[RoutePattern, ...],
    Field(strict=False),
    Allowed(text="give a list of paths, templates and patterns, such as [/health, '/items/{item}', /internal/*]"),
]


class Http(Section):
    """How requests are recorded."""

    excluded_routes: Routes = ("/health", "/ready")
    streaming_routes: Routes = ()  # beside the responses whose content type makes them streams
    subscription_routes: Routes = ()  # streams that wait for events: when the first comes is not their latency
    overridden_routes: Annotated[  # pages that Sidelight answers even if the app does
        tuple[UrlPath, ...],
        Field(strict=False),
        Allowed(text="give a list of paths of Sidelight's pages, such as [/health]"),
    ] = ()
    duration_buckets: Edges = HTTP_SECONDS
    body_sizes: Annotated[bool, Allowed(text="give true or false")] = False  # three times the series of durations alone
