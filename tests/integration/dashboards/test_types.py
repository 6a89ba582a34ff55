"""The generated dashboards match Grafana's own types and pass its code."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import panels_of
from tests.support.typescript import LITERAL, answer, faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GENERATED = Path(__file__).parents[3] / "dashboards" / "generated"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(GENERATED.glob("*.json"))}
RAW = "@grafana/schema/dist/esm/raw/composable/{0}/panelcfg/x/{1}PanelCfg_types.gen"
TYPES = {
    "timeseries": ("TimeSeries", "FieldConfig"),
    "stat": ("Stat", None),
    "table": ("Table", "FieldConfig"),
    "bargauge": ("BarGauge", None),
    "heatmap": ("Heatmap", "FieldConfig"),
}
HEAD = "\n".join(
    [
        "import type { AnnotationQuery, Dashboard, DataQuery } from '@grafana/schema';",
        *(f"import type * as {name} from '{RAW.format(kind, name)}';" for kind, (name, _) in TYPES.items()),
        LITERAL,
        # Its own package of types is Grafana's whole front end.
        (
            "type PrometheusQuery = DataQuery & { expr: string; instant?: boolean; range?: boolean; exemplar?: boolean; "
            "format?: 'time_series' | 'table' | 'heatmap'; legendFormat?: string; interval?: string; "
            "editorMode?: 'builder' | 'code' };"
        ),
        (
            "type Asked = Omit<Dashboard, 'annotations'> & "
            "{ annotations?: { list?: (Omit<AnnotationQuery, 'target'> & { target?: PrometheusQuery; tagKeys?: string; textFormat?: string; titleFormat?: string; useValueForTime?: boolean })[] } };"
        ),
    ]
)


def source(board: dict[str, Any]) -> str:
    """The dashboard as a literal, and what its types leave open as literals of their own."""
    parts = [HEAD, literal("board", board, "Asked")]
    for number, panel in enumerate(panels_of(board)):
        name, own = TYPES[panel["type"]]
        also = " & { footer?: object }" if name == "Table" else ""  # read by Grafana before 12.2
        parts.append(literal(f"options{number}", panel["options"], f"{name}.Options{also}"))
        custom = panel["fieldConfig"]["defaults"].get("custom")
        if custom is not None and own is not None:
            parts.append(literal(f"custom{number}", custom, f"{name}.{own}"))
        parts += [
            literal(f"target{number}_{index}", target, "PrometheusQuery")
            for index, target in enumerate(panel["targets"])
        ]
    return "\n".join(parts)


def literal(name: str, data: object, type_: str) -> str:
    return f"export const {name} = {json.dumps(data, indent=1)} satisfies Literal<{type_}>;"


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_what_grafanas_types_say(name: str, tmp_path: Path) -> None:
    assert faults(tmp_path, source(BOARDS[name])) == []


def _first(board: dict[str, Any], kind: str) -> Any:
    return next(panel for panel in panels_of(board) if panel["type"] == kind)


def _planted(**plants: Callable[[Any], object]) -> dict[str, Any]:
    board = copy.deepcopy(BOARDS["operations"])
    for kind, plant in plants.items():
        plant(board if kind == "board" else _first(board, kind))
    return board


WRONG = {
    "a text as a data source": _planted(stat=lambda panel: panel.update(datasource="Prometheus")),
    "a threshold called null": _planted(
        stat=lambda panel: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(value="null")
    ),
    "an unknown key": _planted(board=lambda board: board.update(rows=[])),
    "an unknown option": _planted(timeseries=lambda panel: panel["options"].update(legendary=True)),
    "a query without a name": _planted(timeseries=lambda panel: panel["targets"][0].pop("refId")),
    "an unknown choice": _planted(timeseries=lambda panel: panel["options"]["tooltip"].update(mode="many")),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_types_see_what_is_wrong(wrong: str, tmp_path: Path) -> None:
    assert len(faults(tmp_path, source(WRONG[wrong]))) >= 1


# --- Grafana's own code ----------------------------------------------------------------------------------------------

BROWSER = """\
const { JSDOM } = require('jsdom');
const { window } = new JSDOM('', { url: 'http://localhost', pretendToBeVisual: true });
Object.assign(globalThis, { window, document: window.document, self: window, HTMLElement: window.HTMLElement,
  localStorage: window.localStorage, sessionStorage: window.sessionStorage });
for (const key of ['navigator', 'location', 'MutationObserver', 'Element', 'Node', 'getComputedStyle', 'matchMedia'])
  globalThis[key] ??= window[key];
window.matchMedia ??= () => ({ matches: false, addListener() {}, addEventListener() {} });
const data = require('@grafana/data');
const given = require('./given.json');
"""
THRESHOLDS = """\
const step = (value, steps) => data.getActiveThreshold(value, steps.map((s) => ({ ...s, value: s.value ?? -Infinity }))).color;
console.log(JSON.stringify(given.map(({ value, steps }) => step(value, steps))));
"""
DISPLAYED = """\
const theme = data.createTheme();
console.log(JSON.stringify(given.map(({ value, defaults }) => {
  const config = JSON.parse(JSON.stringify(defaults));
  if (config.thresholds) config.thresholds.steps = config.thresholds.steps.map((s) => ({ ...s, value: s.value ?? -Infinity }));
  const shown = data.getDisplayProcessor({ field: { name: 'v', type: 'number', config, values: [value] }, theme })(value);
  return { text: `${shown.prefix ?? ''}${shown.text}${shown.suffix ?? ''}`, color: shown.color };
})));
"""
SCHEMA = "console.log(JSON.stringify(require('@grafana/schema').defaultDashboard.schemaVersion));"


def _panels() -> Iterator[dict[str, Any]]:
    return (panel for board in BOARDS.values() for panel in panels_of(board))


def test_grafana_loads_the_dashboards_without_a_migration(tmp_path: Path) -> None:
    newest = answer(tmp_path, BROWSER + SCHEMA, {})
    assert {board["schemaVersion"] for board in BOARDS.values()} == {newest}


def test_thresholds_colour_as_they_say(tmp_path: Path) -> None:
    asked, expected = [], []
    for panel in _panels():
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        for below, step in pairwise(steps):
            edge = step["value"]
            asked += [{"value": edge - 1e-6, "steps": steps}, {"value": edge, "steps": steps}]
            expected += [below["color"], step["color"]]
    assert len(asked) > 40
    assert answer(tmp_path, BROWSER + THRESHOLDS, asked) == expected


def test_an_error_ratio_is_a_percentage_and_red_above_its_limit(tmp_path: Path) -> None:
    (panel,) = (
        panel
        for panel in panels_of(BOARDS["operations"])
        if panel["type"] == "stat" and panel["title"] == "Error ratio now"
    )
    defaults = panel["fieldConfig"]["defaults"]
    calm, worse, bad = answer(
        tmp_path, BROWSER + DISPLAYED, [{"value": value, "defaults": defaults} for value in (0.002, 0.02, 0.08)]
    )
    assert [each["text"] for each in (calm, worse, bad)] == ["0.200%", "2%", "8%"]
    assert len({each["color"] for each in (calm, worse, bad)}) == 3


def test_every_unit_is_one_that_grafana_knows(tmp_path: Path) -> None:
    units = sorted({panel["fieldConfig"]["defaults"]["unit"] for panel in _panels()})
    program = BROWSER + (
        "const known = data.getValueFormats().flatMap((g) => g.submenu.map((f) => f.value));\n"
        "console.log(JSON.stringify(given.filter((u) => !known.includes(u))));"
    )
    assert answer(tmp_path, program, units) == []


def test_what_is_unknown_is_neither_green_nor_red(tmp_path: Path) -> None:
    """Grafana shows the text for "no data" in the colour of the base step, unless a mapping says otherwise."""
    stats = [panel for panel in _panels() if panel["type"] in {"stat", "bargauge"}]
    text, *shown = answer(
        tmp_path,
        BROWSER + DISPLAYED,
        [
            {"value": 7, "defaults": {"thresholds": {"mode": "absolute", "steps": [{"color": "text", "value": None}]}}},
            *({"value": None, "defaults": panel["fieldConfig"]["defaults"]} for panel in stats),
        ],
    )
    assert len(shown) > 15
    assert {each["color"] for each in shown} == {text["color"]}
    assert all(each["text"] for each in shown)


def test_an_alert_that_fires_since_a_minute_says_so(tmp_path: Path) -> None:
    (panel,) = (panel for panel in _panels() if panel["title"] == "Firing alerts")
    program = BROWSER + DISPLAYED.replace("(value);", "(Date.now() - value);")
    (unit,) = (
        one["value"]
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if (override["matcher"]["options"], one["id"]) == ("Since", "unit")
    )
    (shown,) = answer(tmp_path, program, [{"value": 60_000, "defaults": {"unit": unit}}])
    assert shown["text"] == "a minute ago"


def test_a_text_in_a_table_is_shown_as_it_is(tmp_path: Path) -> None:
    """With a unit of times, Grafana would read it as a time."""
    tables = [panel for panel in _panels() if panel["type"] == "table"]
    program = BROWSER + DISPLAYED.replace("type: 'number'", "type: 'string'")
    asked = [{"value": "HighErrorRate", "defaults": panel["fieldConfig"]["defaults"]} for panel in tables]
    assert [each["text"] for each in answer(tmp_path, program, asked)] == ["HighErrorRate"] * len(tables)
