"""Section ``databases``: which queries count as slow or repeated."""

from __future__ import annotations

from instrumentation.settings.types import Count, Seconds, Section


class Databases(Section):
    """Which database queries count as slow or repeated."""

    repeated_queries: Count = 5  # the same statement more often than this within one request is an N+1 query
    slow_query_seconds: Seconds = 1.0
