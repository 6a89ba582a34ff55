"""Recording rules of databases: connection pools, and queries that requests repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.model import RecordingRule
from alerts.recording.services import recorded
from instrumentation import catalog

if TYPE_CHECKING:
    from instrumentation.settings import Settings

POOL = "db_client_connection_pool_name"
"""The label that tells the pools of a service apart."""
_USED = '{db_client_connection_state="used"}'


def pool_used(settings: Settings) -> str:
    """Usage of each connection pool of each instance as a share of its limit, 0 to 1; absent without a limit."""
    return f"{recorded(settings).level}_instance_pool:db_client_connections_used_per_max:ratio"


def repeated_per_request(settings: Settings) -> str:
    """Repeated queries per request with queries, by route; absent while there are no such requests."""
    of = recorded(settings)
    return f"{of.level}_http_route:db_client_repeated_queries_per_requests:ratio_rate{of.window}"


def database_rules(settings: Settings) -> list[RecordingRule]:
    """The usage of pools, and the queries that requests repeat."""
    of = recorded(settings)
    by_pool, by_route = of.by_with(f"instance, {POOL}"), of.by_with("http_route")
    used, most = catalog.DB_CLIENT_CONNECTION_COUNT.name, catalog.DB_CLIENT_CONNECTION_MAX.name
    repeated, requests = (
        f"sum by ({by_route}) (rate({counter}[{of.window}]))"
        for counter in (
            catalog.DB_CLIENT_REPEATED_QUERIES.name,
            f"{catalog.DB_CLIENT_QUERIES_PER_REQUEST.name}_count",
        )
    )
    return [
        RecordingRule(
            record=pool_used(settings),
            expr=f"sum by ({by_pool}) ({used}{_USED})\n/ (sum by ({by_pool}) ({most}) > 0)",
        ),
        RecordingRule(record=repeated_per_request(settings), expr=f"{repeated}\n/ ({requests} > 0)"),
    ]
