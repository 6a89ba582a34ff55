"""What cloudflare/pint and grafana/dashboard-linter find and ``sidelight check`` does not, and why.

ScrapeCallbacks: https://cloudflare.github.io/pint/checks/ and https://github.com/grafana/dashboard-linter/tree/main/docs/rules.
"""

from __future__ import annotations

from types import MappingProxyType

_ASKS = "asks a running Prometheus, which a check of files has not"
_POLICY = "a rule of the house that has no default; a site states it in pint"
_LOGS = "queries of Loki are not read"
LEFT = MappingProxyType(
    {
        "pint": {
            "alerts/count": _ASKS,
            "alerts/external_labels": _ASKS,
            "labels/conflict": _ASKS,
            "promql/offset": _ASKS,
            "promql/range_query": _ASKS,
            "query/cost": _ASKS,
            "promql/aggregate": _POLICY,
            "promql/selector": _POLICY,
            "rule/link": "asks the network whether the page answers; that there is one is `alert/annotation`",
            "rule/owner": _POLICY,
            "rule/reject": _POLICY,
            "rule/report": _POLICY,
        },
        "dashboard-linter": {
            "target-logql-rule": _LOGS,
            "target-logql-auto-rule": _LOGS,
            "target-required-matchers-rule": "as `dashboard/scope` for job and instance; others have no default",
            "template-required-variables-rule": "as `dashboard/target-variables` for job and instance; others have no default",
            "element-reference-rule": "is about dashboards of the second schema, which are not read",
        },
    }
)
"""Peer to the check to the reason."""
