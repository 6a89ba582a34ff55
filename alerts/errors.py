"""The definition of an error, which rules and dashboards share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWERED = "5.."
"""The statuses that are an error of the service that answers."""
CALLED = "(4|5).."
"""The statuses that are an error to the service that calls."""


def errors(select: Callable[..., str], statuses: str = ANSWERED) -> str:
    """PromQL of the requests that are errors: those with an ``error_type``, and those whose status says so.

    OpenTelemetry's semantic conventions ask for ``error.type`` where the status is an error, and not every SDK sets it.

    >>> errors(lambda *matchers: "a{" + ", ".join(matchers) + "}")
    'a{error_type!=""} or a{error_type="", http_response_status_code=~"5.."}'

    Args:
        select: Makes an expression from matchers.
        statuses: The statuses that are errors, as a regular expression.
    """
    by_status = 'error_type=""', f'http_response_status_code=~"{statuses}"'
    return f"""{select('error_type!=""')} or {select(*by_status)}"""
