"""Section ``dashboards``: Grafana."""

from __future__ import annotations

from instrumentation.settings.duration import Duration
from instrumentation.settings.types import PrometheusDuration, Section, Text, WebAddress


class Dashboards(Section):
    """Where the dashboards live."""

    folder: Text = "Sidelight"
    base_url: WebAddress = "https://grafana.example"
    refresh: PrometheusDuration = Duration("30s")
