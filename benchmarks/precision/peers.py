"""How the rules of pint and dashboard-linter differ from ours, according to their documentation.

Sources: https://cloudflare.github.io/pint/checks/ and https://github.com/grafana/dashboard-linter/tree/main/docs/rules.
"""

from __future__ import annotations

from types import MappingProxyType

_SAME = "the same faults"
_NEEDS = "needs a rule in its configuration"
PINT = MappingProxyType(
    {
        "yaml/parse": "reads rule files only; ours also has limits of size, depth and time",
        "rule/name": f"{_NEEDS}; ours follows the naming rules of Prometheus, as a note",
        "rule/duplicate": "also finds alerts that may be equal with other expressions; ours compares the expressions, in any format",
        "group/interval": _SAME,
        "rule/label": f"{_NEEDS}; ours wants `severity` on each alert",
        "alerts/comparison": "ours also reports conditions that are always true",
        "alerts/for": "reports invalid and redundant durations; ours reports alerts that one sample fires, and `rule/schema` the invalid",
        "rule/for": f"{_NEEDS}; ours wants more than 0, unless the expression reads a range",
        "alerts/absent": "compares `for` with the scrape interval that it asks a Prometheus for; ours wants any `for`",
        "alerts/template": "ours has four names for it, and also refuses what Prometheus refuses in templates",
        "alerts/annotation": f"{_NEEDS}; ours wants summary, description and runbook_url, as a note",
        "promql/fragile": "ours reports `topk` as `rule/unstable`, and not if a stable expression decides which series are returned",
        "rule/topk": "ours is `rule/unstable`",
        "promql/syntax": "ours also reads Grafana's variables",
        "promql/impossible": _SAME,
        "promql/vector_matching": "asks a Prometheus which labels series have; ours only knows what the expression removes",
        "promql/series": "asks a Prometheus whether each series exists, as ours does with --prometheus; offline, ours finds near misses",
        "rule/dependency": "finds removed rules that other rules read; ours finds every recorded series that no rule records",
        "promql/regexp": "ours does not report patterns that look like a mistake",
        "promql/counter": "asks a Prometheus for the type; ours goes by the name, so it misses counters without `_total`",
        "promql/rate": "asks a Prometheus for the scrape interval and the type; ours takes the interval from the settings",
        "promql/nan": "ours also follows recorded series",
        "promql/features": "knows which flags each server has; ours reports each function that needs one",
        "promql/performance": _SAME,
        "query/cost": "its limits are configured; ours are 1 s and 1,000,000 samples",
        "alerts/count": _SAME,
        "promql/range_query": _SAME,
        "promql/offset": "ours adds the offset to the range",
        "alerts/external_labels": _SAME,
        "labels/conflict": _SAME,
    }
)
DASHBOARD_LINTER = MappingProxyType(
    {
        "target-promql-rule": "ours also checks annotations, and leaves queries of other data sources",
        "target-counter-agg-rule": "goes by `_total`; ours also knows histograms, and accepts counts and differences of counters",
        "template-datasource-rule": "wants one variable with a fixed label; ours wants one for the data source that is used",
        "template-job-rule": "an error; ours is a note",
        "template-instance-rule": "an error; ours is a note, and only if most panels read series of instances",
        "template-label-promql-rule": _SAME,
        "template-on-time-change-reload-rule": "an error; ours is a note",
        "panel-datasource-rule": "ours also accepts Grafana's own sources, such as `-- Mixed --`",
        "panel-title-description-rule": "an error; ours is a note",
        "panel-units-rule": "an error; ours is a note, and `dashboard/unknown-unit` checks the unit itself",
        "panel-no-targets-rule": "ours leaves text, rows and panels of a library",
        "target-job-rule": "wants it in every selector; ours only where most others of the dashboard have it",
        "target-instance-rule": "wants it in every selector; ours only where most others of the dashboard have it",
        "target-rate-interval-rule": "reports every fixed window; ours those below 30 minutes in graphs",
        "uneditable-dashboard-rule": "an error; ours is a note",
    }
)
