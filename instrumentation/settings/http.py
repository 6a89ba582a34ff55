"""Section ``http``: how requests are counted."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from instrumentation.catalog import HTTP_SECONDS
from instrumentation.settings.faults import Allowed
from instrumentation.settings.route_patterns import RoutePattern
from instrumentation.settings.types import Edges, Section


class Http(Section):
    """How requests are recorded."""

    excluded_routes: Annotated[
        tuple[RoutePattern, ...],
        Field(strict=False),
        Allowed(text="give a list of paths, templates and patterns, such as [/health, /items/{item}, /internal/*]"),
    ] = ("/health", "/ready")
    duration_buckets: Edges = HTTP_SECONDS
    body_sizes: Annotated[bool, Allowed(text="give true or false")] = False  # three times the series of durations alone
