"""Links from panels: to runbooks, and from a service to its Operations dashboard, its logs and its traces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from alerts.links import OPERATIONS_UID, dashboard_uid, runbook_url
from dashboards import expressions as promql
from dashboards.model import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.settings import Settings

    Value = Callable[[str], str]

_JOB, _FROM, _TO = "JOB_OF_THE_LINK", "FROM_OF_THE_LINK", "TO_OF_THE_LINK"  # until the rest is quoted
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


def of_service(settings: Settings, value: Value) -> tuple[Link, ...]:
    """Every place that shows a service: its Operations dashboard, and its logs and traces as far as the settings name them."""
    return (operations(settings, value), *elsewhere(settings, value))


def elsewhere(settings: Settings, value: Value, *, failed: bool = False) -> tuple[Link, ...]:
    """The logs and traces of a service, in the time range shown.

    Args:
        settings: The settings.
        value: Grafana's variable for a label's value.
        failed: Whether only traces with an error are wanted.
    """
    of, job = settings.dashboards, value("job")
    only_failed = " && status = error" if failed else ""
    query = f'{{{of.loki_label}="{_JOB}"}}'
    found = {
        "Logs of this service": _explored(of.loki, {"expr": query, "queryType": "range"}, job)
        if of.loki
        else _filled(of.logs_url, job),
        "Traces of this service": _explored(
            of.tempo, {"query": f'{{resource.service.name = "{_JOB}"{only_failed}}}', "queryType": "traceql"}, job
        )
        if of.tempo
        else _filled(of.traces_url, job),
    }
    return tuple(Link(title=title, url=url) for title, url in found.items() if url)


def _explored(uid: str, query: dict[str, Any], job: str) -> str:
    """A query in Grafana's Explore, version 10.1 and newer."""
    pane = {
        "datasource": uid,
        "queries": [{"refId": "A", "datasource": {"uid": uid}, **query}],
        "range": {"from": _FROM, "to": _TO},
    }
    panes = quote(json.dumps({"a": pane}, separators=(",", ":")))
    for place, variable in ((_JOB, job), (_FROM, "${__from}"), (_TO, "${__to}")):
        panes = panes.replace(place, variable)  # Grafana reads its variables only if they are not quoted
    return f"/explore?schemaVersion=1&panes={panes}"


def _filled(pattern: str | None, job: str) -> str:
    places = {"{job}": job, "{from}": "${__from}", "{to}": "${__to}"}
    url = pattern or ""
    for place, variable in places.items():
        url = url.replace(place, variable)
    return url


def runbook(settings: Settings, alert: str) -> tuple[Link, ...]:
    """The runbook page of an alert, if the settings say where it is."""
    pattern = settings.alerting.runbook_url
    return (Link(title=f"Runbook of {alert}", url=runbook_url(pattern, alert)),) if pattern else ()


def runbook_of_cell(settings: Settings) -> tuple[Link, ...]:
    """The runbook page of the alert whose name is the table's cell."""
    pattern = settings.alerting.runbook_url
    return (Link(title="Runbook", url=runbook_url(pattern, "${__value.raw:percentencode}")),) if pattern else ()
