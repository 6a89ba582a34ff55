"""The demo's files: one sidelight.yaml, and everything generated from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from alerts import generated
from instrumentation.settings import load_settings
from sidelight.demo.scenario import SERVICE, document

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from instrumentation.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Files:
    """The demo's folder and its files.

    Attributes:
        folder: The folder.
        settings: The settings in its sidelight.yaml.
    """

    folder: Path
    settings: Settings

    @property
    def sidelight(self) -> Path:
        """The settings file, which the shop reads too."""
        return self.folder / "sidelight.yaml"

    @property
    def prometheus(self) -> Path:
        """Prometheus's configuration."""
        return self.folder / "prometheus.yaml"

    @property
    def alertmanager(self) -> Path:
        """Alertmanager's generated configuration."""
        return self.folder / "alertmanager.yaml"

    def write_prometheus(self, alertmanager: str) -> None:
        """Write Prometheus's configuration.

        Args:
            alertmanager: Host and port of the Alertmanager.
        """
        self.prometheus.write_text(yaml.safe_dump(prometheus_config(self.settings, alertmanager), sort_keys=False))

    def write_targets(self, instances: Iterable[str]) -> None:
        """Set which instances of the shop Prometheus scrapes; Prometheus watches the file.

        Args:
            instances: Host and port of each.
        """
        new = self.folder / "targets.new"
        new.write_text(json.dumps([{"targets": list(instances)}]))
        new.replace(self.folder / "targets.json")  # atomically, because Prometheus may read at any time


def prometheus_config(settings: Settings, alertmanager: str) -> dict[str, object]:
    """Prometheus's configuration: the generated rules, the shop's instances from a file, one Alertmanager."""
    return {
        "global": {
            "scrape_interval": str(settings.metrics.scrape_interval),
            "evaluation_interval": str(settings.alerting.evaluation_interval),
        },
        "rule_files": ["rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            {"job_name": SERVICE, "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}]}
        ],
    }


def write(folder: Path, webhook: str, traces: str) -> Files:
    """Write the settings, and the rules and Alertmanager's configuration generated from them.

    Args:
        folder: The folder to write to.
        webhook: The URL that Alertmanager posts to.
        traces: The URL that the shop sends its spans to.
    """
    sidelight = folder / "sidelight.yaml"
    sidelight.write_text(yaml.safe_dump(document(webhook, str(folder / "audit.log"), traces), sort_keys=False))
    settings = load_settings(sidelight, environ={})
    for name, text in generated(settings).items():
        (folder / name).write_text(text)
    return Files(folder=folder, settings=settings)
