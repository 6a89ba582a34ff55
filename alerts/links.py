"""The addresses every alert carries: its runbook page and the dashboard of the service it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.settings import Settings

OPERATIONS_UID = "sidelight-operations"  # the dashboards' stable addresses in Grafana
BUSINESS_UID = "sidelight-business"


def urls(settings: Settings, alert: str, *, job: bool = True, dashboard: str = OPERATIONS_UID) -> dict[str, str]:
    """runbook_url and dashboard_url.

    Args:
        settings: The settings.
        alert: The alert's name.
        job: Whether the alert is about one job, which the dashboard then shows.
        dashboard: The uid of the dashboard that shows what the alert is about.
    """
    variables = "?var-job={{ $labels.job }}" if job else ""
    return {
        "runbook_url": f"{settings.alerting.runbook_base_url}/{alert}.md",
        "dashboard_url": f"{settings.dashboards.base_url}/d/{dashboard}{variables}",
    }
