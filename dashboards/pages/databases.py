"""Panels about databases: queries, those of each request, and connection pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.recording.databases import POOL
from dashboards import expressions as promql
from dashboards.expressions import legend, rate, select, total
from dashboards.model import Query, Unit, graph, said, traffic_light
from instrumentation import catalog

if TYPE_CHECKING:
    from dashboards.model import Panel
    from instrumentation.settings import Levels, Settings

_LISTED = 10
_EMPTY = "no queries"
_NO_POOL = "no connection pool"
_USED = 'db_client_connection_state="used"'


def database_panels(settings: Settings) -> tuple[Panel, ...]:
    """What the queries of services cost, and whether they have enough connections."""
    by = promql.service(settings)
    database, statement = (*by, "db_system_name", "db_namespace"), (*by, "db_query_summary")
    route, pool = (*by, "http_route"), ("instance", POOL)
    operations, per_request = catalog.DB_CLIENT_OPERATION_DURATION, catalog.DB_CLIENT_QUERIES_PER_REQUEST
    mean = promql.per(rate(f"{per_request.name}_sum"), rate(promql.count(per_request)), *route)
    busiest = promql.busiest(_LISTED, promql.count(operations), *statement)
    slowest = promql.quantile(0.95, rate(promql.bucket(operations)), *statement)
    failed = rate(promql.count(operations), 'error_type!=""')
    return (
        graph(
            title="Query rate",
            description="Queries per second, by database.",
            unit=Unit.PER_SECOND,
            queries=(Query(expr=total(rate(promql.count(operations)), *database), legend=legend(*database)),),
            empty=_EMPTY,
        ),
        graph(
            title="Query duration p95",
            description=f"p95 duration of queries, for the {_LISTED} most frequent statements in the time range shown.",
            unit=Unit.SECONDS,
            queries=(Query(expr=f"{slowest} {busiest}", legend=legend(*statement)),),
            empty=_EMPTY,
        ),
        graph(
            title="Query error ratio",
            description="Share of queries that raised an error, by database.",
            unit=Unit.RATIO,
            queries=(
                Query(expr=promql.share(failed, rate(promql.count(operations)), *database), legend=legend(*database)),
            ),
            empty=_EMPTY,
        ),
        graph(
            title="Slow queries",
            description=(
                f"Queries per second that took at least {settings.databases.slow_query_seconds:g} s, by statement. The log"
                " names the line of code."
            ),
            unit=Unit.PER_SECOND,
            queries=(
                Query(expr=total(rate(catalog.DB_CLIENT_SLOW_QUERIES.name), *statement), legend=legend(*statement)),
            ),
            empty=_EMPTY,
        ),
        graph(
            title="Queries per request",
            description="Mean number of queries of requests that run any, by route.",
            unit=Unit.COUNT,
            queries=(Query(expr=mean, legend=legend(*route)),),
            empty=_EMPTY,
        ),
        graph(
            title="Repeated queries",
            description=(
                f"Queries per second beyond {settings.databases.repeated_queries} with the same statement in one request, by"
                " route. These are N+1 queries; the log names the line of code."
            ),
            unit=Unit.PER_SECOND,
            queries=(Query(expr=total(rate(catalog.DB_CLIENT_REPEATED_QUERIES.name), *route), legend=legend(*route)),),
            empty=_EMPTY,
        ),
        pool_graph("Connection pool usage", by, settings.thresholds.pool_used_ratio),
        graph(
            title="Waiting for a connection",
            description="Callers that wait for a connection, by instance and pool.",
            unit=Unit.COUNT,
            queries=(
                Query(
                    expr=total(select(catalog.DB_CLIENT_CONNECTION_PENDING_REQUESTS.name), *pool), legend=legend(*pool)
                ),
            ),
            empty=_NO_POOL,
        ),
        graph(
            title="Connection timeouts",
            description="Callers per second that got no connection in time, by instance and pool.",
            unit=Unit.PER_SECOND,
            queries=(Query(expr=total(rate(catalog.DB_CLIENT_CONNECTION_TIMEOUTS.name), *pool), legend=legend(*pool)),),
            empty=_NO_POOL,
        ),
    )


def pool_graph(title: str, _by: tuple[str, ...], levels: Levels, *matchers: str) -> Panel:
    """The usage of connection pools, with lines for its thresholds."""
    used = total(select(catalog.DB_CLIENT_CONNECTION_COUNT.name, _USED, *matchers), "instance", POOL)
    most = total(select(catalog.DB_CLIENT_CONNECTION_MAX.name, *matchers), "instance", POOL)
    return graph(
        title=title,
        description=f"Connections in use as a share of those that the pool may open. {said(levels)}",
        unit=Unit.RATIO,
        queries=(Query(expr=f"{used} / {most}", legend=legend("instance", POOL)),),
        coloring=traffic_light(levels),
        empty=_NO_POOL,
    )
