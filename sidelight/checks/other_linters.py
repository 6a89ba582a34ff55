"""Checks of cloudflare/pint and grafana/dashboard-linter that ``sidelight check`` does not have, and the reasons.

Sources: https://cloudflare.github.io/pint/checks/ and https://github.com/grafana/dashboard-linter/tree/main/docs/rules.
"""

from __future__ import annotations

from types import MappingProxyType

_POLICY = "a site-specific rule without a default; configure it in pint"
_LOGS = "Loki queries are not checked; `promql/unread` names them"
LEFT = MappingProxyType(
    {
        "pint": {
            "promql/aggregate": _POLICY,
            "promql/selector": _POLICY,
            "rule/link": "requests the page over the network; `alert/annotation` checks that there is one",
            "rule/owner": _POLICY,
            "rule/reject": _POLICY,
            "rule/report": _POLICY,
        },
        "dashboard-linter": {
            "target-logql-rule": _LOGS,
            "target-logql-auto-rule": _LOGS,
            "target-required-matchers-rule": "like `dashboard/scope` for job and instance; other labels have no default",
            "template-required-variables-rule": "like `dashboard/target-variables` for job and instance; other labels have no default",
            "element-reference-rule": "checks the layout of dashboard schema v2, which Grafana itself does when it saves",
        },
    }
)
"""Linter to check to the reason."""
