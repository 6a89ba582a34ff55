"""The sidecar's configuration follows the settings and holds together."""

from __future__ import annotations

from typing import Any

import yaml

from collector import generated
from collector.sidecar import sidecar_config
from instrumentation.settings import Settings, parse_settings


def config(data: object = None) -> Any:
    return sidecar_config(parse_settings(data or {}))


def test_every_component_that_is_used_is_defined_and_every_one_defined_is_used() -> None:
    made = config()
    pipeline = made["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(made[kind])
    assert set(made["service"]["extensions"]) == set(made["extensions"])


def test_the_queue_is_kept_by_an_extension_that_exists() -> None:
    made = config()
    assert made["exporters"]["otlp_http/gateway"]["sending_queue"]["storage"] in made["extensions"]


def test_the_memory_limiter_comes_first() -> None:
    assert config()["service"]["pipelines"]["traces"]["processors"][0] == "memory_limiter"


def test_telemetry_is_taken_from_the_pod_itself_alone() -> None:
    endpoints = [protocol["endpoint"] for protocol in config()["receivers"]["otlp"]["protocols"].values()]
    assert endpoints == ["127.0.0.1:4317", "127.0.0.1:4318"]


def test_every_number_and_address_is_used() -> None:
    made = config({"collector": {"gateway_endpoint": "http://gateway:9", "memory_limit_mib": 70, "queue_size": 3}})
    exporter = made["exporters"]["otlp_http/gateway"]
    assert exporter["endpoint"] == "http://gateway:9"
    assert exporter["sending_queue"]["queue_size"] == 3
    assert made["processors"]["memory_limiter"] == {"check_interval": "1s", "limit_mib": 70, "spike_limit_mib": 14}


def test_the_file_is_what_the_data_says() -> None:
    assert yaml.safe_load(generated(Settings())["sidecar.yaml"]) == config()
