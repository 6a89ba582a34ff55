"""Values that the chart refuses, each with its path and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from instrumentation.settings import Settings, parse_settings
from sidelight.chart import chart_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Chart


def of(alert: str, key: str, **values: Any) -> dict[str, Any]:
    return {"alerts": {alert: {key: values}}}


WRONG = {
    "an unknown alert": ({"alerts": {"HighErrorRat": {}}}, "'/alerts': additional properties 'HighErrorRat' not"),
    "a missing alert": ({"alerts": {"HighErrorRate": None}}, "'/alerts': missing property 'HighErrorRate'"),
    "a misspelt key": (
        of("HighErrorRate", "critical", treshold=0.3),
        "'/alerts/HighErrorRate/critical': additional properties 'treshold' not allowed",
    ),
    "an unknown section": ({"rulez": {}}, "'': additional properties 'rulez' not allowed"),
    "an unknown severity": (
        of("HighErrorRate", "fatal", threshold=0.5),
        "'/alerts/HighErrorRate': additional properties 'fatal' not allowed",
    ),
    "a text as threshold": (
        of("HighErrorRate", "critical", threshold="0.07"),
        "'/alerts/HighErrorRate/critical/threshold': got string, want number",
    ),
    "a negative threshold": (
        of("HighLatencyP95", "warning", threshold=-0.5),
        "'/alerts/HighLatencyP95/warning/threshold': exclusiveMinimum: got -0.5, want 0",
    ),
    "no threshold": (
        of("HighErrorRate", "critical", threshold=None),
        "'/alerts/HighErrorRate/critical': missing property 'threshold'",
    ),
    "a percentage in place of a share": (
        of("HighErrorRate", "critical", threshold=5),
        "'/alerts/HighErrorRate/critical/threshold': exclusiveMaximum: got 5, want 1",
    ),
    "a percentage in place of a share of a disk": (
        of("DiskFillingUp", "critical", full_ratio=97),
        "'/alerts/DiskFillingUp/critical/full_ratio': exclusiveMaximum: got 97, want 1",
    ),
    "an alert without a rule": (
        {"alerts": {"DailyCostOverBudget": {"enabled": False}}},
        "'/alerts': additional properties 'DailyCostOverBudget' not allowed",
    ),
    "half an item": (
        of("QueueBacklogGrowing", "warning", threshold=7.5),
        "'/alerts/QueueBacklogGrowing/warning/threshold': got number, want integer",
    ),
    "half an event": (
        of("HighErrorRate", "critical", minimum_bad_events=3.5),
        "'/alerts/HighErrorRate/critical/minimum_bad_events': got number, want integer",
    ),
    "a duration in words": (
        of("HighErrorRate", "critical", **{"for": "5 minutes"}),
        "'/alerts/HighErrorRate/critical/for': '5 minutes' does not match",
    ),
    "no duration": (of("ServiceDown", "critical", **{"for": "0s"}), "'/alerts/ServiceDown/critical/for': '0s' does"),
    "a number as duration": (
        of("ServiceDown", "critical", **{"for": 5}),
        "'/alerts/ServiceDown/critical/for': got number, want string",
    ),
    "a reserved label": (
        {"alerts": {"HighErrorRate": {"labels": {"severity": "page"}}}},
        "'/alerts/HighErrorRate/labels/severity': false schema",
    ),
    "an invalid label name": (
        {"alerts": {"HighErrorRate": {"labels": {"my-team": "a"}}}},
        "'/alerts/HighErrorRate/labels': additional properties 'my-team' not allowed",
    ),
    "a number as label": ({"commonLabels": {"release": 7}}, "'/commonLabels/release': got number, want string"),
    "an unknown kind": (
        {"rules": {"kind": "Rules"}},
        "'/rules/kind': value must be one of 'PrometheusRule', 'VMRule', 'Config",
    ),
    "an unknown group": ({"rules": {"groups": {"htp": True}}}, "'/rules/groups': additional properties 'htp' not"),
    "a text as switch": ({"rules": {"enabled": "no"}}, "'/rules/enabled': got string, want boolean"),
    "a warning above critical": (
        of("HighErrorRate", "warning", threshold=0.3),
        (
            "alerts.HighErrorRate.warning.threshold: got 0.3 above alerts.HighErrorRate.critical.threshold 0.05; give a "
            "warning at or below critical"
        ),
    ),
    "a threshold that is not an edge": (
        of("HighLatencyP95", "critical", threshold=0.8),
        (
            "alerts.HighLatencyP95.critical.threshold: got 0.8, which is not in bucketEdges, and only a bucket edge is "
            "compared exactly; add 0.8 to thresholds.latency_p95_seconds in sidelight.yaml"
        ),
    ),
    "a threshold that is the highest edge": (
        of("HighLatencyP95", "critical", threshold=10),
        "alerts.HighLatencyP95.critical.threshold: got 10, which is the highest of bucketEdges",
    ),
    "a default that is not an edge any more": (
        {"bucketEdges": [0.1, 0.5, 3]},
        "alerts.HighLatencyP95.critical.threshold: got 1, which is not in bucketEdges",
    ),
    "a group whose series another reads": (
        {"rules": {"groups": {"deployment": False}}},
        (
            "rules.groups.deployment: got false, but alerts.RepeatedQueriesGrowing.warning reads "
            "job_service_version:target_info:count"
        ),
    ),
    "a monitor of every pod": ({"podMonitor": {"enabled": True}}, "podMonitor.selector: got none"),
    "a target without its secret": (
        {"alertmanagerConfig": {"receivers": {"default": {"slack": {"channel": "#shop"}}}}},
        "'/alertmanagerConfig/receivers/default/slack': missing property 'apiURL'",
    ),
    "a misspelt key of one of several targets": (
        {"alertmanagerConfig": {"receivers": {"info": {"webhook": [{"url": "http://a"}, {"uri": "http://b"}]}}}},
        "'/alertmanagerConfig/receivers/info/webhook/1': additional properties 'uri' not allowed",
    ),
    "a webhook with two addresses": (
        {
            "alertmanagerConfig": {
                "receivers": {"info": {"webhook": {"url": "http://a", "urlSecret": {"name": "b", "key": "c"}}}}
            }
        },
        "'/alertmanagerConfig/receivers/info/webhook': maxProperties: got 2, want 1",
    ),
    "a receiver that no route has": (
        {"alertmanagerConfig": {"receivers": {"pager": {}}}},
        "'/alertmanagerConfig/receivers': additional properties 'pager' not allowed",
    ),
    "an unknown operator": (
        {"podMonitor": {"selector": {"matchExpressions": [{"key": "app", "operator": "Is"}]}}},
        "'/podMonitor/selector/matchExpressions/0/operator': value must be one of",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_refused_with_path_and_reason(name: str, chart: Chart) -> None:
    values, sentence = WRONG[name]
    assert sentence in chart.refused(values)


def test_a_threshold_given_with_set_is_a_text_and_with_set_json_a_number(chart: Chart) -> None:
    assignment = "alerts.HighErrorRate.critical.threshold=0.07"
    assert "got string, want number" in chart.refused({}, "--set", assignment)
    assert "> 0.07\n" in chart.template({}, "--set-json", assignment).stdout.replace("\\n", "\n")


def test_a_parent_chart_may_pass_on_its_switch_and_its_global_values(chart: Chart) -> None:
    parent = chart.path.parent / "parent"
    (parent / "charts").mkdir(parents=True)
    chart.path.rename(parent / "charts" / "sidelight")
    needs = [{"name": "sidelight", "version": "*", "condition": "sidelight.enabled"}]
    (parent / "Chart.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": needs})
    )
    (parent / "values.yaml").write_text(yaml.safe_dump({"global": {"region": "north"}, "sidelight": {"enabled": True}}))
    done = chart.helm("template", "obs", parent)
    assert "kind: PrometheusRule" in done.stdout, done.stderr


def test_the_defaults_may_be_given_as_values(chart: Chart) -> None:
    defaults = yaml.safe_load(chart_files(Settings())["values.yaml"])
    assert chart.rendered(defaults) == chart.rendered()


def test_pods_whose_metrics_are_pushed_are_not_scraped_as_well(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings({"collector": {"metrics": "otlp"}}))
    assert "'/podMonitor/enabled': value must be false" in chart.refused({"podMonitor": {"enabled": True}})
