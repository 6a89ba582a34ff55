"""Recording rules of calls to other services."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from alerts.model import RecordingRule
from alerts.recording.counting import added, totals, within
from alerts.recording.services import recorded
from instrumentation import catalog

if TYPE_CHECKING:
    from instrumentation.settings import Settings

PART = "server_address"
_CALLS = f"{catalog.HTTP_CLIENT_REQUEST_DURATION.name}_count"
# A status of 4xx says that the call was wrong, not that the called service fails.
_FAILED = (
    f'{_CALLS}{{error_type!="", http_response_status_code!~"4.."}} '
    f'or {_CALLS}{{error_type="", http_response_status_code=~"5.."}}'
)


class Calls(NamedTuple):
    """The names of the recorded series.

    Attributes:
        failed: Failed calls within the window, by called service.
        ratio: Their share of all calls, 0 to 1; absent while there are no calls.
    """

    failed: str
    ratio: str


def recorded_calls(settings: Settings) -> Calls:
    """The names for these settings."""
    of = recorded(settings)
    level = f"{of.level}_{PART}"
    return Calls(
        failed=f"{level}:http_client_request_errors:increase{of.window}",
        ratio=f"{level}:http_client_request_errors_per_requests:ratio_rate{of.window}",
    )


def dependency_rules(settings: Settings) -> list[RecordingRule]:
    """Calls of each instance, those that failed, and their share."""
    of, calls = recorded(settings), recorded_calls(settings)
    instance, by_part = f"{of.level}_instance", f"{of.level}_instance_{PART}"
    seen, total = f"{instance}:http_client_requests:sum", f"{by_part}:http_client_requests:sum"
    failures, new = f"{by_part}:http_client_request_errors:sum", f"{of.level}_{PART}:http_client_requests:increase"
    new_failures = f"{of.level}_{PART}:http_client_request_errors:increase"
    return [
        RecordingRule(
            record=seen,
            expr=f"{totals(settings, _CALLS)}\nor\n0 * max by ({of.by_with('instance')}) ({catalog.TARGET_INFO.name})",
        ),
        RecordingRule(record=total, expr=totals(settings, _CALLS, PART)),
        RecordingRule(record=failures, expr=f"{totals(settings, _FAILED, PART)}\nor\n0 * {total}"),
        RecordingRule(record=new, expr=added(settings, total, PART, seen=seen)),
        RecordingRule(record=new_failures, expr=added(settings, failures, PART, seen=seen)),
        RecordingRule(record=calls.failed, expr=within(new_failures, of.window)),
        RecordingRule(record=calls.ratio, expr=f"{calls.failed} / ({within(new, of.window)} > 0)"),
    ]
