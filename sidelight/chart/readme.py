"""The chart's README: what it installs, and a table of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.chart.values import Block, Value

_HEAD = """\
# The Sidelight chart

<!-- Written by `sidelight build` from the chart's values; change the code it is made from, not this page. -->

Installs what `sidelight build` generates from `sidelight.yaml` into a cluster:

| object | purpose | value |
| --- | --- | --- |
| PrometheusRule, VMRule, or a ConfigMap without an operator | recording rules and alerts | `rules`, `alerts` |
| one ConfigMap per dashboard | loaded by Grafana's sidecar | `dashboards` |
| PodMonitor or VMPodScrape (off by default) | scrapes the services' pods | `podMonitor` |
| PodMonitor or VMPodScrape (off by default) | scrapes the collectors' own metrics | `collectorMonitor` |
| AlertmanagerConfig (off by default) | routes and receivers of alerts | `alertmanagerConfig` |
| Deployment, Service, ConfigMap, ServiceAccount, HorizontalPodAutoscaler, PodDisruptionBudget, NetworkPolicy (off by default) | \
the gateway for traces and pushed metrics, with balancers before several of them | `gateway` |
| Pod of `helm test` (off by default) | checks that rules are loaded, pods scraped and alerts routed | `test` |

```sh
helm install sidelight helm/sidelight --namespace monitoring --set commonLabels.release=kube-prometheus-stack
```

A misspelt key, an unknown alert or a wrong type stops the installation; the message contains its path. Files in `files/`,
this page, `values.yaml` and `values.schema.json` are generated: change `sidelight.yaml` and run `make chart`. See
[Install the chart](../../docs/how-to/install-the-chart.md) for how to adapt it to a cluster, and [UPGRADING](UPGRADING.md)
for changes between versions.

## Values
"""


def to_readme(values: Block) -> str:
    """The text of README.md."""
    tables = [_table(member) for member in values.members]
    return "\n".join([_HEAD, *tables])


def _table(member: Block | Value) -> str:
    lines = ["| value | default | meaning |", "| --- | --- | --- |"]
    lines += [f"| {' | '.join(cells)} |" for cells in _rows(member)]
    return f"### {member.key}\n\n" + "\n".join(lines) + "\n"


def _rows(member: Block | Value) -> Iterator[tuple[str, str, str]]:
    for key, default, note in member.rows():
        shown = f"`{default}`" if default else ""
        yield f"`{key}`", shown.replace("|", "\\|"), note.replace("|", "\\|").replace("<", "&lt;")
