"""Panels as Grafana JSON, made with grafanalib; what grafanalib cannot express is added here."""

from __future__ import annotations

import json
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any
from zlib import crc32

import grafanalib.core as grafana

from dashboards.model import Coloring, Column, Panel, Row, Unit, View
from instrumentation.catalog import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dashboards.layout import Place
    from dashboards.model import Link, Query

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

_HIGHEST_ID = 1_000_000
_HEADROOM = 1.2  # above the critical line, so that the line is visible while values are low
_LEAST_WIDTH = 80  # pixels of a table's column; Grafana's own default of 150 pushes columns out of a narrow table
_NUMBER_WIDTH, _LETTER_WIDTH, _HEADING_ICONS = 100, 8, 36  # pixels of a column of numbers
_NO_VALUE = "-"
_TEXT_SIZE = 28  # pixels of the letters of a sentence
_HEADER_LINK = {
    "type": "link",
    "icon": "external link",
    "tooltip": "",
    "tags": [],
    "asDropdown": False,
    "includeVars": False,
    "keepTime": False,
}
_OLD_FOOTER = {"show": False, "reducer": ["sum"], "countRows": False, "fields": "", "enablePagination": True}
_FORMATS = {View.TABLE: "table", View.HEATMAP: "heatmap"}


def as_json(item: Row | Panel, place: Place, scrape_interval: str) -> dict[str, Any]:
    """A row's heading or a panel, not normalised yet.

    Args:
        item: The row or panel.
        place: Its position.
        scrape_interval: A Prometheus duration, from which Grafana computes ``$__rate_interval``.
    """
    common = {
        "title": item.title,
        "id": crc32(item.title.encode()) % _HIGHEST_ID + 1,  # independent of the position, so that links keep working
        "gridPos": grafana.GridPos(x=place.x, y=place.y, w=place.w, h=place.h),
    }
    if isinstance(item, Row):
        return _plain(grafana.RowPanel(**common))
    return _panel(item, scrape_interval, common)


def _panel(panel: Panel, scrape_interval: str, common: Mapping[str, Any]) -> dict[str, Any]:
    return _plain(
        _BUILDERS[panel.view](
            panel,
            **common,
            description=panel.description,
            dataSource=DATASOURCE,
            targets=[
                _target(letter, query, panel.view, scrape_interval)
                for letter, query in zip(ascii_uppercase, panel.queries, strict=False)
            ],
            thresholds=_steps(panel.coloring),
            links=[{**_HEADER_LINK, **link} for link in _links(panel.links)],
        )
    )


def _links(links: Iterable[Link]) -> list[dict[str, Any]]:
    return [{"title": link.title, "url": link.url, "targetBlank": False} for link in links]


def _plain(drawn: Any) -> dict[str, Any]:
    """The objects of grafanalib, which contain others, as JSON data."""
    plain: dict[str, Any] = json.loads(json.dumps(drawn, default=lambda part: part.to_json_data()))
    return plain


def _target(letter: str, query: Query, view: View, scrape_interval: str) -> dict[str, Any]:
    from_histogram = any(metric.kind is Kind.HISTOGRAM for metric in query.reads)
    drawn = grafana.Target(
        refId=letter,
        expr=query.expr,
        legendFormat=query.legend,
        interval="" if query.instant else query.min_step or scrape_interval,
        format=_FORMATS.get(view, "time_series"),
        instant=query.instant,
        datasource=DATASOURCE,
    )
    exemplar = from_histogram and view is View.TIME_SERIES
    return {**_plain(drawn), "editorMode": "code", "range": not query.instant, "exemplar": exemplar}


def _steps(coloring: Coloring) -> list[Any]:
    above = enumerate(sorted(coloring.above.items()), start=1)
    base = grafana.Threshold(coloring.base, 0, 0.0)
    return [base, *(grafana.Threshold(color, index, float(value)) for index, (value, color) in above)]


def _absent(text: str) -> dict[str, Any]:
    """How a value that does not exist is shown. Without it, Grafana uses the base colour, which often means that all is well."""
    return {"type": "special", "options": {"match": "null+nan", "result": {"text": text, "color": "text"}}}


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for name, color in panel.colors.items()
    ]


def _axis(panel: Panel, highest: float | None) -> float | None:
    """The least upper end of a graph's axis: above its lines, and for a ratio 1 %, because Grafana would show 10,000 %."""
    if highest is not None:
        return highest * _HEADROOM
    return 0.01 if panel.unit is Unit.RATIO else None


def _time_series(panel: Panel, **common: Any) -> Any:
    highest = max(panel.coloring.above, default=None)
    custom = {
        "axisSoftMin": 0,  # a hard minimum would cut off negative values
        "axisSoftMax": _axis(panel, highest),
        "scaleDistribution": {"type": "linear", "log": None},
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
    }
    links = _links(link for links in panel.links_of.values() for link in links)
    return grafana.TimeSeries(
        **common,
        unit=panel.unit,
        drawStyle="bars" if panel.in_steps else "line",  # a line through a single step would be a dot
        fillOpacity=60 if panel.stacked else 8,
        lineWidth=0 if panel.stacked else 1,  # a line of a series at 0 would lie on top of the others, in its colour
        showPoints="auto",
        legendDisplayMode="list",
        tooltipMode="multi",
        tooltipSort="desc",
        thresholdsStyleMode="off" if highest is None else "dashed",
        overrides=_overrides(panel),
        extraJson={
            "fieldConfig": {"defaults": {"custom": custom, "noValue": panel.empty, "links": links or None}},
            "options": {"legend": {"showLegend": True}},
        },
    )


def _stat(panel: Panel, **common: Any) -> Any:
    return grafana.Stat(
        **common,
        format=panel.unit,
        reduceCalc="lastNotNull",
        color={"mode": "thresholds"},
        graphMode="none" if panel.queries[0].instant else "area",
        noValue=panel.empty,
        mappings=[_absent(panel.empty)],
        extraJson={
            "options": {
                "wideLayout": True,
                "showPercentChange": False,
                "percentChangeColorMode": "standard",
                # Grafana makes a text as large as its shortest word allows, and cuts it off.
                **({"text": {"valueSize": _TEXT_SIZE}} if panel.unit is Unit.SINCE else {}),
            }
        },
    )


def _table(panel: Panel, **common: Any) -> Any:
    values = _values(panel)
    columns = {**panel.columns, **{name: column.heading for name, column in values.items()}}
    organize = {
        "excludeByName": {"Time": True, "Value": "Value" not in columns},
        "includeByName": {},
        "indexByName": {name: index for index, name in enumerate(columns)},
        "renameByName": columns,
    }
    return grafana.Table(
        **common,
        unit=Unit.COUNT,  # those of numbers are set for their columns: with a unit of times, Grafana shows texts as NaN
        filterable=True,
        transformations=[
            *([{"id": "merge", "options": {}}] if "Value" not in values else []),
            {"id": "organize", "options": organize},
        ],
        sortBy=[
            grafana.TableSortByField(displayName=columns[name], desc=True)
            for name in ("Value", "Value #A")
            if name in columns
        ],
        overrides=[
            *(_leading(panel.columns[label], links) for label, links in panel.links_of.items()),
            *(_shown(column) for column in values.values()),
        ],
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "custom": {
                        "cellOptions": {"type": "color-text" if panel.colors else "auto"},
                        "minWidth": _LEAST_WIDTH,
                        "inspect": False,
                        "displayMode": None,
                    },
                    "color": {"mode": "thresholds"},
                    "thresholds": {"steps": _steps(Coloring())},  # those of numbers would colour texts too
                    "mappings": _mappings(panel.colors),
                    "noValue": panel.empty,
                }
            },
            # Grafana before 12.2 reads the paging from the footer.
            "options": {"cellHeight": "sm", "frameIndex": 0, "enablePagination": True, "footer": _OLD_FOOTER},
        },
    )


def _values(panel: Panel) -> dict[str, Column]:
    """The columns of numbers by their names in Grafana."""
    if panel.queries[0].column is None:
        heading = panel.columns.get("Value")
        return {"Value": Column(heading=heading, unit=panel.unit, coloring=panel.coloring)} if heading else {}
    named = zip(ascii_uppercase, panel.queries, strict=False)
    return {f"Value #{letter}": query.column for letter, query in named if query.column}


def _mappings(colors: Mapping[str, str]) -> list[dict[str, Any]]:
    options = {text: {"color": color} for text, color in colors.items()}
    return [{"type": "value", "options": options}] if options else []


def _leading(heading: str, links: Iterable[Link]) -> dict[str, Any]:
    return {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "links", "value": _links(links)}]}


def _shown(column: Column) -> dict[str, Any]:
    colored = "color-text" if column.coloring.above else "auto"
    above = sorted(column.coloring.above.items())
    steps = [
        {"color": column.coloring.base, "value": None},
        *({"color": color, "value": value} for value, color in above),
    ]
    return {
        "matcher": {"id": "byName", "options": column.heading},
        "properties": [
            {"id": "unit", "value": column.unit},
            {"id": "custom.cellOptions", "value": {"type": colored}},
            {"id": "custom.width", "value": max(_NUMBER_WIDTH, _LETTER_WIDTH * len(column.heading) + _HEADING_ICONS)},
            {"id": "custom.filterable", "value": False},
            {"id": "mappings", "value": [_absent(_NO_VALUE)]},
            {"id": "thresholds", "value": {"mode": "absolute", "steps": steps}},
        ],
    }


def _raw(panel: Panel, kind: Mapping[str, Any], **common: Any) -> Any:
    # grafanalib only supports obsolete forms of these panels, so only its common part is used.
    base = grafana.Panel(**common).panel_json({})
    defaults = {
        **base["fieldConfig"]["defaults"],
        "unit": panel.unit,
        "noValue": panel.empty,
        "mappings": [_absent(panel.empty)],
        **kind["defaults"],
    }
    field_config = {"defaults": defaults, "overrides": []}
    return {**base, "type": panel.view, "fieldConfig": field_config, "options": kind["options"]}


def _bars(panel: Panel, **common: Any) -> Any:
    options = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "namePlacement": "top",  # on the left, a route would be cut off after twenty characters
        "valueMode": "color",
        "showUnfilled": True,
        "sizing": "manual",  # otherwise a single bar and its text would fill the panel
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 56,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return _raw(panel, {"defaults": {"min": 0, "color": {"mode": "thresholds"}}, "options": options}, **common)


def _heatmap(panel: Panel, **common: Any) -> Any:
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "scale": "exponential", "exponent": 0.5}
        | {"steps": 64, "reverse": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": panel.unit},
    }
    hide = {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}}
    return _raw(panel, {"defaults": {"custom": hide}, "options": options}, **common)


_BUILDERS = {
    View.TIME_SERIES: _time_series,
    View.STAT: _stat,
    View.TABLE: _table,
    View.BARS: _bars,
    View.HEATMAP: _heatmap,
}
