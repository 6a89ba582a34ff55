"""The chart's collector monitor makes Prometheus scrape the series that the collector alerts read."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from alerts import generated
from instrumentation.settings import parse_settings
from sidelight.toolchain import processes
from tests.integration.helm.test_objects import by_kind
from tests.support.collectors import running, send, until
from tests.support.prometheus import asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.integration.helm.conftest import Chart

QUICK = {
    "alerting": {
        "evaluation_interval": "1s",
        "window": "20s",
        "for": {"warning": "2s", "critical": "2s"},
    },
    "metrics": {"scrape_interval": "1s"},
}


def as_prometheus_has_it(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of an endpoint of a PodMonitor, in Prometheus' own spelling."""
    return {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key): value for key, value in settings.items()}


@contextmanager
def refusing() -> Iterator[str]:
    """A place that takes nothing, for good: it does not know POST."""
    with ThreadingHTTPServer((processes.LOOPBACK, 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield f"http://{processes.LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()


def test_an_alert_tells_whose_sidecar_loses_spans(build: Callable[..., Chart], tmp_path: Path) -> None:
    settings = parse_settings(QUICK)
    (monitor,) = by_kind(build(settings).rendered({"collectorMonitor": {"enabled": True}}), "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    with refusing() as nowhere, running("sidecar", tmp_path / "sidecar", nowhere) as sidecar:
        # The operator has set job by jobLabel before the endpoint's own relabelings.
        target = {"targets": [sidecar.process.url.split("/")[2]], "labels": {"job": "shop"}}
        scrape = {
            "job_name": "podMonitor/monitoring/obs-sidelight-collectors/0",
            "scrape_interval": endpoint["interval"],
            "relabel_configs": [as_prometheus_has_it(one) for one in endpoint["relabelings"]],
            "metric_relabel_configs": [as_prometheus_has_it(one) for one in endpoint["metricRelabelings"]],
            "static_configs": [target],
        }
        (tmp_path / "rules.yaml").write_text(generated(settings)["rules.yaml"])
        (tmp_path / "prometheus.yml").write_text(json.dumps({"rule_files": ["rules.yaml"], "scrape_configs": [scrape]}))
        with processes.prometheus(tmp_path / "prometheus.yml", tmp_path / "data") as prometheus:
            (alert,) = until(
                lambda: (
                    send(sidecar.http)
                    and asked(prometheus, 'ALERTS{alertname="CollectorDroppingData",alertstate="firing"}')
                )
            )
            assert alert["metric"]["job"] == "shop-collector"
            assert asked(prometheus, 'up{job="shop-collector"}')
            assert asked(prometheus, "target_info") == []
