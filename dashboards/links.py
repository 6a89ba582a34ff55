"""Links from panels: to runbooks, and from a service to its Operations dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.links import OPERATIONS_UID, dashboard_uid
from dashboards import expressions as promql
from dashboards.model import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.settings import Settings

    Value = Callable[[str], str]

CONTEXT = "${datasource:queryparam}&${__url_time_range}"  # so that a link keeps the data source and the time range


def of_row(headings: dict[str, str]) -> Value:
    """Makes a label into Grafana's variable for its value in the same row of a table.

    >>> value = of_row({"job": "Service", "k8s_cluster": "K8s cluster"})
    >>> value("job"), value("k8s_cluster")
    ('${__data.fields.Service:percentencode}', '${__data.fields["K8s cluster"]:percentencode}')
    """

    def value(label: str) -> str:
        heading = headings[label]
        field = f".{heading}" if heading.isidentifier() else f'["{heading}"]'
        return f"${{__data.fields{field}:percentencode}}"

    return value


def of_series(label: str) -> str:
    """Grafana's variable for a label's value of the series that was clicked on.

    >>> of_series("job")
    '${__field.labels.job:percentencode}'
    """
    return f"${{__field.labels.{label}:percentencode}}"


def operations(settings: Settings, value: Value) -> Link:
    """The Operations dashboard of one service."""
    chosen = "&".join(f"var-{label}={value(label)}" for label in promql.service(settings))
    uid = dashboard_uid(settings, OPERATIONS_UID)
    return Link(title="Operations of this service", url=f"/d/{uid}?{chosen}&{CONTEXT}")


def runbook(settings: Settings, alert: str) -> Link:
    """The runbook page of an alert."""
    return Link(title=f"Runbook of {alert}", url=_runbook(settings, alert))


def runbook_of_cell(settings: Settings) -> Link:
    """The runbook page of the alert whose name is the table's cell."""
    return Link(title="Runbook", url=_runbook(settings, "${__value.raw:percentencode}"))


def _runbook(settings: Settings, alert: str) -> str:
    return f"{settings.alerting.runbook_base_url}/{alert}.md"
