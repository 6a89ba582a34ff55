"""What the generated dashboards do not use today: other panels, transformations, units and mappings, in a real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.view.snapshot import page
from tests.support.pictures.browser import browse

if TYPE_CHECKING:
    from pathlib import Path

START, STEP = 1_764_000_000, 60
EVIL = "</script><img src=x onerror=alert(1)>"
RED_ABOVE_80 = {"mode": "absolute", "steps": [{"color": "green", "value": None}, {"color": "red", "value": 80}]}


def series(values: list[float | str | None], **labels: str) -> dict[str, Any]:
    samples = [[START + STEP * index, str(value)] for index, value in enumerate(values) if value is not None]
    return {"metric": labels, "values": samples}


def line(value: float | str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [START, str(value)]}


def panel(kind: str, *queries: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A panel, and the answers to its queries."""
    answers = {}
    targets = []
    for letter, result in zip("ABCDEF", queries, strict=False):
        is_table = more.get("format") == "table"
        answers[letter] = {
            "expression": "up", "kind": "matrix" if result and "values" in result[0] else "vector", "result": result,
            "step": STEP * 1000, "error": "", "left_out": 0,
        }  # fmt: skip
        targets.append(
            {
                "refId": letter,
                "expr": "up",
                "format": "table" if is_table else "time_series",
                "legendFormat": more.get("legend", "{{job}}"),
            }
        )
    config = {"defaults": more.get("defaults", {}), "overrides": more.get("overrides", [])}
    document = {
        "type": kind, "title": kind, "fieldConfig": config, "targets": targets, "options": more.get("options", {}),
        "transformations": more.get("transformations", []), "links": more.get("links", []),
    }  # fmt: skip
    return {"document": document, "answers": answers}


def shown(folder: Path, *panels: dict[str, Any], program: str = "return page.evaluate(describe);") -> Any:
    """What the page shows of some panels."""
    window = {"start": START, "end": START + STEP * 10}
    documents = []
    answers: dict[str, Any] = {}
    for number, each in enumerate(panels, start=1):
        place = {"x": 0, "y": 8 * number, "w": 12, "h": 8}
        documents.append({**each["document"], "id": number, "gridPos": place})
        answers[f"dashboards/test/panels/{number}"] = {"window": window, "answers": each["answers"]}
    document = {"uid": "test", "title": EVIL, "panels": documents, "annotations": {"list": []}}
    answers |= {
        "dashboards": {"dashboards": [{"uid": "test", "title": "Test", "description": ""}], "prometheus": "x", "version": "1"},
        "dashboards/test": document, "dashboards/test/variables": [], "dashboards/test/annotations": {"window": window, "answers": {}},
    }  # fmt: skip
    file = folder / "page.html"
    file.write_text(page({"taken": START * 1000, "answers": answers}))
    browser = folder / "browser"
    browser.mkdir()
    before = """
    const describe = () => [...document.querySelectorAll('.panel')].map((panel) => ({
      state: panel.dataset.state, notes: [...panel.querySelectorAll('.notes li')].map((each) => each.textContent), text: panel.querySelector('.body').innerText,
      meters: [...panel.querySelectorAll('[role=meter]')].map((each) => [each.getAttribute('aria-label'), Number(each.getAttribute('aria-valuenow')), each.getAttribute('aria-valuetext')]),
      colors: [...panel.querySelectorAll('.body .value, .body td[style], .state')].map((each) => [each.textContent, each.style.color, each.style.background]),
      table: [...panel.querySelectorAll('tr')].map((line) => [...line.children].map((cell) => cell.textContent)),
      links: [...panel.querySelectorAll('.body a')].map((each) => [each.textContent, each.getAttribute('href')]),
      states: [...panel.querySelectorAll('.state')].map((each) => [each.textContent, Math.round(parseFloat(each.style.left)), Math.round(parseFloat(each.style.width))]),
    }));
    const page = await open(`file://${given}`, { height: 12000, colorScheme: 'dark' });
    await page.waitForFunction(() => [...document.querySelectorAll('.panel')].every((panel) => ['ready', 'empty', 'error'].includes(panel.dataset.state)));
    """
    return browse(browser, before + program, str(file))


def test_gauges_and_state_timelines(tmp_path: Path) -> None:
    mappings = [
        {"type": "value", "options": {"1": {"text": "up", "color": "green"}, "0": {"text": "down", "color": "red"}}}
    ]
    gauge, timeline, text, unknown = shown(
        tmp_path,
        panel("gauge", [series([10, 90], job="a")], [series([50], job="b")], defaults={"unit": "percent", "thresholds": RED_ABOVE_80, "color": {"mode": "thresholds"}}),
        panel("state-timeline", [series([1, 1, 0, 0, 0, None, None, 1], job="shop")], defaults={"mappings": mappings}),
        panel("text", options={"content": f"Plain {EVIL}"}),
        panel("piechart", [series([1, 2], job="a")]),
    )  # fmt: skip
    assert gauge["meters"] == [["a", 90, "90%"], ["b", 50, "50%"]]
    assert [color for _, color, _ in gauge["colors"]] == ["rgb(255, 107, 125)", "rgb(115, 191, 105)"]
    assert timeline["states"] == [["up", 0, 20], ["down", 20, 30], ["up", 70, 10]]
    assert EVIL in text["text"]
    assert unknown["notes"] == ["Panels of the type piechart are not drawn here; these are its values."]
    assert [cells[1] for cells in unknown["table"]] == ["a", "2", "1"]


def test_tables_after_transformations(tmp_path: Path) -> None:
    rows = [line(7, job="shop", path="/a"), line(3, job=EVIL, path="/b"), line("NaN", job="x", path="/c")]
    more = [line(0.5, job="shop", path="/a")]
    organize = {
        "renameByName": {"job": "Job", "Value #A": "Rate", "Value #B": "Errors"},
        "excludeByName": {"Time": True, "path": True},
        "indexByName": {"job": 0},
    }
    special = [{"type": "special", "options": {"match": "null+nan", "result": {"text": "none"}}}]
    link = {
        "title": "Open",
        "url": '/d/test?var-job=${__data.fields["Job"]:percentencode}&${datasource:queryparam}&${__url_time_range}',
    }
    overrides = [
        {"matcher": {"id": "byName", "options": "Job"}, "properties": [{"id": "links", "value": [link]}]},
        {"matcher": {"id": "byName", "options": "Rate"}, "properties": [{"id": "unit", "value": "reqps"}, {"id": "mappings", "value": special}]},
        {"matcher": {"id": "byRegexp", "options": "/^Err/"}, "properties": [
            {"id": "unit", "value": "percentunit"}, {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            {"id": "color", "value": {"mode": "thresholds"}}, {"id": "thresholds", "value": {"mode": "absolute", "steps": [{"color": "red", "value": None}]}},
        ]},
    ]  # fmt: skip
    table, evil, limited, unknown = shown(
        tmp_path,
        panel("table", rows, more, format="table", overrides=overrides, transformations=[{"id": "merge", "options": {}}, {"id": "organize", "options": organize}], options={"sortBy": [{"displayName": "Rate", "desc": True}]}),
        panel("table", [line(1, job="a")], format="table", overrides=[{"matcher": {"id": "byName", "options": "job"}, "properties": [{"id": "links", "value": [{"title": "x", "url": "javascript:alert(1)"}]}]}]),
        panel("table", rows, format="table", transformations=[{"id": "sortBy", "options": {"sort": [{"field": "Value", "desc": False}]}}, {"id": "limit", "options": {"limitField": 1}}, {"id": "filterFieldsByName", "options": {"include": {"names": ["Value"]}}}]),
        panel("table", rows, format="table", transformations=[{"id": "groupBy", "options": {}}]),
    )  # fmt: skip
    assert table["table"] == [
        ["Job", "Rate", "Errors"], ["shop", "7 req/s", "50%"], [EVIL, "3 req/s", "\u2013"], ["x", "none", "\u2013"],
    ]  # fmt: skip
    assert table["links"][0] == ["shop", "#/d/test?var-job=shop"]
    assert table["colors"] == [["50%", "rgb(255, 107, 125)", ""]]
    assert evil["links"] == []
    assert limited["table"] == [["Value"], ["NaN"]]
    assert unknown["notes"] == ["The transformation groupBy is not supported here; the data is shown without it."]
    assert len(unknown["table"]) == 4


def test_a_panel_without_data_says_what_the_dashboard_says(tmp_path: Path) -> None:
    kinds = ("stat", "timeseries", "bargauge", "gauge", "table", "heatmap", "state-timeline")
    found = shown(tmp_path, *(panel(kind, [], defaults={"noValue": f"no {kind}"}) for kind in kinds))
    assert [(each["state"], each["text"]) for each in found] == [("empty", f"no {kind}") for kind in kinds]


UNITS = [
    ("short", 1234567, "1.23 Mil"), ("short", 0.000123, "0.000123"), ("s", 0.25, "250 ms"), ("s", 90, "1.5 min"), ("s", 172800, "2 days"),
    ("s", 0, "0 s"), ("percentunit", 0.0123, "1.23%"), ("percent", 12.34, "12.3%"), ("bytes", 1536, "1.5 KiB"), ("decbytes", 1500, "1.5 kB"),
    ("reqps", 47.84, "47.8 req/s"), ("reqps", 1500, "1.5 K req/s"), ("cps", 2, "2 c/s"), ("currencyUSD", 1.5, "$1.50"), ("currencyUSD", 6270, "$6.27K"),
    ("ms", 1500, "1.5 s"), ("none", 12345, "12345"), ("suffix:users", 7, "7 users"), ("short", "+Inf", "+Inf"), ("short", -1500, "-1.5 K"),
    ("dateTimeFromNow", (START - 7200) * 1000, "2 hours ago"), ("bool_yes_no", 1, "Yes"),
]  # fmt: skip


def test_values_have_grafana_s_units(tmp_path: Path) -> None:
    panels = [panel("stat", [line(value, job="a")], defaults={"unit": unit}) for unit, value, _ in UNITS]
    found = shown(tmp_path, *panels, panel("stat", [line(7, job="a")], defaults={"unit": "furlongs"}))
    assert [each["text"] for each in found[:-1]] == [text for _, _, text in UNITS]
    assert found[-1]["text"] == "7 furlongs"
    assert found[-1]["notes"] == ["The unit furlongs is not known here; values are shown as plain numbers."]


def test_a_gap_stays_a_gap_and_hundreds_of_series_are_named(tmp_path: Path) -> None:
    many = [series([number, number], job=f"j{number}") for number in range(107)]
    program = """
    await page.locator('.panel button[aria-pressed=false]').first().evaluate((button) => button.click());
    await page.waitForSelector('.panel table');
    return page.evaluate(describe);
    """
    gap, crowd, logarithmic = shown(
        tmp_path,
        panel("timeseries", [series([1, 2, None, None, 5], job="a")]),
        panel("timeseries", many, [series([1], job="last")]),
        panel("timeseries", [series([1, 1000], job="a")], defaults={"custom": {"scaleDistribution": {"type": "log", "log": 10}, "drawStyle": "bars", "lineInterpolation": "smooth"}}),
        program=program,
    )  # fmt: skip
    assert [cells[1] for cells in gap["table"][1:]] == ["5", "\u2013", "2", "1"]
    assert crowd["notes"] == ["100 of 108 series are drawn; choose fewer with the variables above."]
    assert logarithmic["state"] == "ready"
