"""A dashboard around its panels: title, variables, annotations and links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alerts.conditions.deployment import NAME as DEPLOYMENT_COMPLETED
from alerts.links import dashboard_uid
from dashboards import expressions as promql
from dashboards.layout import placed
from dashboards.normalise import normalised
from dashboards.ownership import TAG
from dashboards.panels import DATASOURCE, as_json
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dashboards.layout import Placed
    from dashboards.model import Page
    from instrumentation.settings import Settings

_ON_TIME_RANGE_CHANGE = 2  # so that the lists contain what existed in the time range shown
_SORTED = 1
_SHARED_CROSSHAIR = 1


def framed(page: Page, settings: Settings, pages: Sequence[Page]) -> dict[str, object]:
    """A whole dashboard as normalised Grafana JSON.

    Args:
        page: The dashboard.
        settings: The settings.
        pages: All dashboards; this one links to the others.
    """
    limited: dict[str, object] = _limited(
        settings,
        normalised(
            {
                "uid": dashboard_uid(settings, page.uid),
                "title": f"{settings.owner}: {page.title}" if settings.owner else page.title,
                "description": page.description,
                "tags": [TAG],
                "editable": False,
                "graphTooltip": _SHARED_CROSSHAIR,
                "refresh": settings.dashboards.refresh,
                "time": {"from": page.since, "to": "now"},
                "timepicker": {},
                "timezone": "browser",
                "templating": {
                    "list": [
                        _DATASOURCE_VARIABLE,
                        *_identity(settings),
                        *(_VARIABLES[name](settings) for name in page.variables),
                    ]
                },
                "annotations": {"list": _annotations(settings)},
                "links": [
                    _link(f"{other.title} dashboard", f"/d/{dashboard_uid(settings, other.uid)}")
                    for other in pages
                    if other is not page
                ]
                + [_link("Alert rules", "/alerting/list", with_context=False)],
                "panels": [_drawn(each, settings.metrics.scrape_interval) for each in placed(page.rows(settings))],
            }
        ),
    )
    return limited


def _limited(settings: Settings, document: Any) -> Any:
    """A dashboard whose queries read only the selected clusters, namespaces and so on."""
    if isinstance(document, dict):
        return {key: _limited(settings, value) for key, value in document.items()}
    if isinstance(document, list):
        return [_limited(settings, value) for value in document]
    return promql.limited(document, settings) if isinstance(document, str) else document


def _identity(settings: Settings) -> Iterator[dict[str, Any]]:
    """A variable for each label that tells services with the same job apart; without the label it has only All, which matches."""
    for label in promql.identity(settings):
        query = f"label_values({catalog.TARGET_INFO.name}, {label})"
        yield _query_variable(label, label.replace("_", " ").capitalize(), query, all_value=".*")


def panels_of(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels of a dashboard's JSON, also those in collapsed rows, without the rows themselves."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panels_of(panel)
        else:
            yield panel


def _drawn(each: Placed, scrape_interval: str) -> dict[str, Any]:
    drawn = as_json(each.item, each.place, scrape_interval)
    if each.hidden:
        drawn |= {"collapsed": True, "panels": [_drawn(hidden, scrape_interval) for hidden in each.hidden]}
    return drawn


_DATASOURCE_VARIABLE = {
    "type": "datasource",
    "name": "datasource",
    "label": "Data source",
    "query": "prometheus",
    "hide": 0,
    "includeAll": False,
    "multi": False,
    "options": [],
    "refresh": 1,
    "regex": "",
}


def _job(settings: Settings) -> dict[str, Any]:
    chosen = promql.chosen(settings)
    series = f"{catalog.TARGET_INFO.name}{{{chosen}}}" if chosen else catalog.TARGET_INFO.name
    return _query_variable("job", "Job", f"label_values({series}, job)")


def _instance(_: Settings) -> dict[str, Any]:
    series = f'{catalog.TARGET_INFO.name}{{job=~"$job"}}'
    return _query_variable("instance", "Instance", f"label_values({series}, instance)")


_VARIABLES = {"job": _job, "instance": _instance}


def _query_variable(name: str, label: str, query: str, *, all_value: str = ".+") -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": query,
        "allValue": all_value,
        "includeAll": True,
        "multi": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
        "refresh": _ON_TIME_RANGE_CHANGE,
        "regex": "",
        "sort": _SORTED,
    }


def _annotations(settings: Settings) -> list[dict[str, Any]]:
    step = settings.alerting.evaluation_interval
    deployments = promql.firing(f'alertname="{DEPLOYMENT_COMPLETED}"')
    others = promql.firing(f'alertname!="{DEPLOYMENT_COMPLETED}"')
    return [
        _BY_HAND,
        _annotation("Deployments", deployments, step, color="blue")
        | {"titleFormat": "{{job}} now runs {{service_version}}", "tagKeys": "job,service_version"},
        _annotation("Firing alerts", others, step, color="red")
        | {"titleFormat": "{{alertname}} ({{severity}})", "textFormat": "{{job}}", "tagKeys": "alertname,severity,job"},
    ]


_BY_HAND = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


def _annotation(name: str, expr: str, step: str, *, color: str) -> dict[str, Any]:
    target: Mapping[str, Any] = {"expr": expr, "interval": step, "refId": "Anno"}
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "target": target,
        "textFormat": "",
        "useValueForTime": False,
    }


def _link(title: str, url: str, *, with_context: bool = True) -> dict[str, Any]:
    return {
        "type": "link",
        "title": title,
        "url": url,
        "icon": "dashboard" if with_context else "bolt",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "targetBlank": False,
        "keepTime": with_context,
        "includeVars": with_context,
    }
