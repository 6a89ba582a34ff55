"""Generates Grafana dashboards from the catalog and the settings; ``dashboards.grafana.publish`` publishes them.

>>> from instrumentation.settings import Settings
>>> sorted(generated(Settings()))
['business.json', 'fleet.json', 'operations.json']
"""

from __future__ import annotations

from dashboards.frame import panels_of
from dashboards.pages import DASHBOARDS, PAGES, every_dashboard, generated

__all__ = ["DASHBOARDS", "PAGES", "every_dashboard", "generated", "panels_of"]
