"""Errors of the page: each is one sentence, and has the HTTP status with which it is answered."""

from __future__ import annotations

from instrumentation.errors import SidelightError


class ViewError(SidelightError):
    """The page cannot be started or written."""


class RequestError(ViewError):
    """A request that cannot be answered.

    Attributes:
        status: The HTTP status.
    """

    status = 400


class NotFoundError(RequestError):
    """A dashboard, panel or page that does not exist."""

    status = 404


class PrometheusError(RequestError):
    """Prometheus does not answer, or refuses a query."""

    status = 502
