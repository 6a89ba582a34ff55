"""The addresses that alerts carry, if the settings say them: the runbook page, and the dashboard of the service."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.settings import Settings

OPERATIONS_UID = "sidelight-operations"  # the dashboards' stable addresses in Grafana
BUSINESS_UID = "sidelight-business"

LABELS = '{{ range $name, $value := $labels }}{{ if ne $name "__name__" }}{{ $name }}={{ $value | urlquery }}&{{ end }}{{ end }}'
"""An alert's labels as the query of an address."""


def urls(settings: Settings, alert: str, *, job: bool = True, dashboard: str = OPERATIONS_UID) -> dict[str, str]:
    """runbook_url and dashboard_url, each only if the settings say where it leads: a dead link is worse than none.

    Args:
        settings: The settings.
        alert: The alert's name.
        job: Whether the alert is about one job, which the dashboard then shows.
        dashboard: The uid, without an owner, of the dashboard that shows what the alert is about.
    """
    uid = dashboard_uid(settings, dashboard)
    variables = f"?var-job={{{{ $labels.job | urlquery }}}}{_others(settings)}" if job else ""
    runbook, grafana = settings.alerting.runbook_url, settings.dashboards.base_url
    return {
        **({"runbook_url": runbook_url(runbook, alert, LABELS if job else "")} if runbook else {}),
        **({"dashboard_url": f"{grafana}/d/{uid}{variables}"} if grafana else {}),
    }


def runbook_url(pattern: str, alert: str, labels: str = "") -> str:
    """The address of an alert's runbook.

    >>> runbook_url("https://wiki.example/{alert}?{labels}", "ServiceDown", "job=shop")
    'https://wiki.example/ServiceDown?job=shop'
    """
    return pattern.replace("{alert}", alert).replace("{labels}", labels)


def _others(settings: Settings) -> str:
    """The other labels that identify the service, as far as it has them."""
    return "".join(
        f"{{{{ with $labels.{label} }}}}&var-{label}={{{{ . | urlquery }}}}{{{{ end }}}}"
        for label in settings.alerting.group_by
        if label != "job"
    )


def dashboard_uid(settings: Settings, uid: str) -> str:
    """A dashboard's uid with the owner in it, so that the dashboards of several teams stand side by side in a Grafana.

    >>> from instrumentation.settings import parse_settings
    >>> dashboard_uid(parse_settings({"dashboards": {"owner": "payments"}}), OPERATIONS_UID)
    'sidelight-payments-operations'

    Grafana allows 40 characters, so a hash stands for an owner that is long or holds other characters:

    >>> dashboard_uid(parse_settings({"dashboards": {"owner": "Payments & Co."}}), OPERATIONS_UID)
    'sidelight-759bf397fbeb-operations'
    """
    owner = settings.owner
    if owner and not re.fullmatch(r"[a-z0-9-]{1,19}", owner):
        owner = blake2b(owner.encode(), digest_size=6).hexdigest()
    return uid.replace("sidelight-", f"sidelight-{owner}-", 1) if owner else uid
