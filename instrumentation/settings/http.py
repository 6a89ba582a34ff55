"""Section ``http``: how requests are counted."""

from typing import Annotated, Literal

from pydantic import Field

from instrumentation.catalog import HTTP_SECONDS
from instrumentation.settings.faults import Allowed
from instrumentation.settings.request_labels import RequestLabels
from instrumentation.settings.route_patterns import RoutePattern
from instrumentation.settings.types import Edges, Section, UrlPath

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY", "_OTHER"]
Routes = Annotated[
    tuple[RoutePattern, ...],
    Field(strict=False),
    Allowed(text="give a list of paths, templates and patterns, such as [/health, '/items/{item}', /internal/*]"),
]


class Http(Section):
    """How requests are recorded."""

    excluded_routes: Routes = ("/health", "/ready")
    excluded_methods: Annotated[
        tuple[Method, ...],
        Field(strict=False),
        Allowed(text="give a list of methods in capitals, such as [OPTIONS]; _OTHER stands for all unknown methods"),
    ] = ()
    count_unmatched: Annotated[bool, Allowed(text="give true or false")] = True  # requests that no route matches
    active_requests_by_route: Annotated[bool, Allowed(text="give true or false")] = (
        False  # the route is then matched at the start of each request
    )
    streaming_routes: Routes = ()  # in addition to responses that are streams by their content type
    subscription_routes: Routes = ()  # streams that wait for events, so the time to the first event is not latency
    overridden_routes: Annotated[  # pages that Sidelight answers even if the app does
        tuple[UrlPath, ...],
        Field(strict=False),
        Allowed(text="give a list of paths of Sidelight's pages, such as [/health]"),
    ] = ()
    labels: RequestLabels = Field(default={})  # more labels of request durations
    duration_buckets: Edges = HTTP_SECONDS
    body_sizes: Annotated[bool, Allowed(text="give true or false")] = (
        False  # three times as many series as durations alone
    )
