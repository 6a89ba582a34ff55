"""All series that panels read are in the catalog."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from alerts import RecordingRule, groups
from alerts.checking.promql import catalog_series, check
from alerts.checking.series import series
from dashboards import PAGES, generated
from dashboards.model import Query, View
from instrumentation import catalog
from instrumentation.settings import Settings, parse_settings

READ = sorted(
    {
        metric.name
        for page in PAGES
        for row in page.rows(Settings())
        for panel in row.panels
        for query in panel.queries
        for metric in query.reads
    }
)

# Panels show what the rules make of it, which does not depend on the number of instances.
IN_RULES = {"active_user_register"}
# HealthCheckFailing and the panel Health checks say it; the number is for those who look at the metric.
OF_A_CHECK = {"database_migrations_pending"}
# Address space tells nothing on Linux; a restart is seen in the running versions and in `up`.
OF_NO_USE_HERE = {"process_virtual_memory_bytes", "process_start_time_seconds"}


@pytest.mark.parametrize("name", READ)
def test_a_renamed_row_is_renamed_in_every_panel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = catalog.BY_NAME[name]
    python_name = next(key for key, value in vars(catalog).items() if value is metric)
    renamed = replace(metric, name="renamed_seven")
    rows = tuple(renamed if row is metric else row for row in catalog.METRICS)
    monkeypatch.setattr(catalog, "METRICS", rows)
    before = "".join(generated(Settings()).values())
    monkeypatch.setattr(catalog, python_name, renamed)
    after = "".join(generated(Settings()).values())
    assert f"{name}" in before
    assert not any(f"{series}{{" in after for series in metric.series)
    assert "renamed_seven" in after


@pytest.mark.parametrize("name", READ)
def test_a_row_that_goes_away_is_missed_by_the_check(name: str) -> None:
    series = {key: labels for key, labels in catalog_series().items() if key not in catalog.BY_NAME[name].series}
    expressions = [
        query.expr for page in PAGES for row in page.rows(Settings()) for panel in row.panels for query in panel.queries
    ]
    assert any(check(expression, series).faults for expression in expressions)


@pytest.mark.parametrize(
    "metric",
    [metric for metric in catalog.METRICS if metric.name not in OF_NO_USE_HERE | OF_A_CHECK | IN_RULES],
    ids=lambda metric: metric.name,
)
def test_every_row_is_shown_somewhere(metric: catalog.Metric) -> None:
    signals = [{"name": "pool_size", "kind": "gauge", "combine": "sum"}]
    everything = parse_settings({"http": {"active_requests_by_route": True}, "signals": signals})
    assert any(series in text for series in metric.series for text in generated(everything).values())


def test_a_query_reads_the_row_of_a_histogram_by_any_of_its_series() -> None:
    assert Query(expr="rate(workflow_duration_seconds_count[5m])").reads == {catalog.WORKFLOW_DURATION}


def test_a_query_does_not_read_a_row_whose_name_is_only_part_of_a_word() -> None:
    assert Query(expr="my_queue_depth").reads == frozenset()


def test_a_table_shows_every_label_of_its_result(settings: Settings) -> None:
    known = series(groups(settings), settings.alerting.group_by)
    for panel in (panel for page in PAGES for row in page.rows(settings) for panel in row.panels):
        if panel.view is View.TABLE:
            for query in panel.queries:
                assert check(query.expr, known).labels == set(panel.columns) - {"Value"}, panel.title


def test_series_of_dashboards_are_recorded_also_if_alerts_are_disabled(settings: Settings) -> None:
    rules = {rule.record: rule for group in groups(settings) for rule in group.rules if isinstance(rule, RecordingRule)}
    queries = "".join(
        query.expr for page in PAGES for row in page.rows(settings) for panel in row.panels for query in panel.queries
    )
    read = {name for name in re.findall(r"[\w:]+", queries) if name in rules}
    assert len(read) >= 5
    assert {name for name in read if not rules[name].shown} == set()


def test_a_legend_names_only_labels_of_its_series(settings: Settings) -> None:
    known = series(groups(settings), settings.alerting.group_by)
    for panel in (panel for page in PAGES for row in page.rows(settings) for panel in row.panels):
        for query in panel.queries:
            named = {part.partition("}}")[0] for part in query.legend.split("{{")[1:]}
            assert named <= check(query.expr, known).labels, panel.title
