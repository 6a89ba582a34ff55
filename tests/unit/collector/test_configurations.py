"""The collectors' configurations follow the settings and hold together, and the manifest brings what they name."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from collector import generated
from collector.gateway import gateway_config
from collector.manifest import manifest
from collector.sidecar import sidecar_config
from instrumentation.redaction.table import PATTERNS, TOKENS
from instrumentation.settings import parse_settings

CONFIGS = {"sidecar": sidecar_config, "gateway": gateway_config}
BOTH = pytest.mark.parametrize("place", CONFIGS)


def config(place: str, data: object = None) -> Any:
    return CONFIGS[place](parse_settings(data or {}))


@BOTH
def test_every_component_that_is_used_is_defined_and_every_one_defined_is_used(place: str) -> None:
    made = config(place)
    pipeline = made["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(made[kind])
    assert set(made["service"]["extensions"]) == set(made["extensions"])


@BOTH
def test_the_queue_is_kept_by_an_extension_that_exists(place: str) -> None:
    made = config(place)
    (exporter,) = made["exporters"].values()
    assert exporter["sending_queue"]["storage"] in made["extensions"]


@BOTH
def test_the_memory_limiter_comes_first(place: str) -> None:
    assert config(place)["service"]["pipelines"]["traces"]["processors"][0] == "memory_limiter"


def test_the_sidecar_takes_telemetry_from_the_pod_itself_alone_and_the_gateway_from_others() -> None:
    hosts = {
        place: {
            each["endpoint"].rpartition(":$")[0] for each in config(place)["receivers"]["otlp"]["protocols"].values()
        }
        for place in CONFIGS
    }
    assert hosts == {"sidecar": {"127.0.0.1"}, "gateway": {"${env:POD_IP:-127.0.0.1}"}}


@pytest.mark.parametrize(
    ("place", "key", "exporter"),
    [("sidecar", "gateway_endpoint", "otlp_http/gateway"), ("gateway", "traces_endpoint", "otlp_http/backend")],
)
def test_every_number_and_address_is_used(place: str, key: str, exporter: str) -> None:
    made = config(place, {"collector": {key: "http://other:9", "memory_limit_mib": 70, "queue_size": 3}})
    assert made["exporters"][exporter]["endpoint"] == "http://other:9"
    assert made["exporters"][exporter]["sending_queue"]["queue_size"] == 3
    assert made["processors"]["memory_limiter"] == {"check_interval": "1s", "limit_mib": 56, "spike_limit_mib": 14}


def test_the_gateway_keeps_what_failed_what_is_slower_than_the_warning_and_some() -> None:
    settings = {"collector": {"kept_ratio": 0.25}, "thresholds": {"latency_p95_seconds": {"warning": 0.7}}}
    policies = config("gateway", settings)["processors"]["tail_sampling"]["policies"]
    assert [policy["type"] for policy in policies] == ["status_code", "latency", "probabilistic"]
    assert policies[1]["latency"] == {"threshold_ms": 700}
    assert policies[2]["probabilistic"] == {"sampling_percentage": 25.0}


def test_the_sidecar_masks_by_every_form_of_the_table_and_no_dollar_is_a_variable() -> None:
    masks = config("sidecar")["processors"]["redaction"]["blocked_values"]
    assert [mask.replace("$$", "$") for mask in masks] == [
        pattern.regex for table in (PATTERNS, TOKENS) for pattern in table
    ]
    assert not any(re.search(r"(?<!\$)(\$\$)*\$(?!\$)", mask) for mask in masks)


def test_the_manifest_brings_what_the_configurations_name_and_nothing_else() -> None:
    named = {
        name.partition("/")[0].replace("_", "")
        for place in CONFIGS
        for part in ("receivers", "processors", "exporters", "extensions")
        for name in config(place)[part]
    }
    built: Any = manifest()
    modules = [
        row["gomod"].split()[0]
        for part in ("receivers", "processors", "exporters", "extensions")
        for row in built[part]
    ]
    kinds = "receiver|processor|exporter|extension"
    assert {re.sub(f"({kinds})$", "", module.rpartition("/")[2]) for module in modules} == named


@pytest.mark.parametrize("name", ["sidecar", "gateway"])
def test_the_file_is_what_the_data_says(name: str) -> None:
    assert yaml.safe_load(generated(parse_settings({}))[f"{name}.yaml"]) == config(name)


def test_the_manifest_is_a_file_too() -> None:
    assert yaml.safe_load(generated(parse_settings({}))["builder.yaml"]) == manifest()
