"""The collector configurations follow the settings and are consistent, and the manifest has all components they use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from collector import generated
from collector.balancer import balancer_config
from collector.gateway import gateway_config
from collector.manifest import COMPONENTS, manifest
from collector.sidecar import sidecar_config
from instrumentation.redaction.patterns import PATTERNS, TOKENS
from instrumentation.settings import Settings, parse_settings
from sidelight.checks import find

if TYPE_CHECKING:
    from pathlib import Path

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
    assert made["processors"]["memory_limiter"] == {
        "check_interval": "1s",
        "limit_mib": "${env:SIDELIGHT_MEMORY_LIMIT_MIB:-56}",
        "spike_limit_mib": "${env:SIDELIGHT_MEMORY_SPIKE_MIB:-14}",
    }


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


ALL_MODES = [
    {},
    {"collector": {"metrics": "otlp", "resource_attributes": {"k8s.cluster.name": "north"}}},
    {"collector": {"metrics": "remote_write", "gateways": "gateways.example"}},
    {"collector": {"version": "0.140.1", "metrics": "remote_write"}},
]


def modules(made: Any) -> set[str]:
    return {row["gomod"].split()[0] for section in COMPONENTS for row in made[section]}


@pytest.mark.parametrize("data", ALL_MODES)
def test_the_manifest_brings_what_the_configurations_name_and_nothing_else(data: dict[str, Any]) -> None:
    files = {name: yaml.safe_load(text) for name, text in generated(parse_settings(data)).items()}
    built = modules(files.pop("builder.yaml"))
    today = {"otlphttp": "otlp_http", "prometheusremotewrite": "prometheus_remote_write"}
    named = {
        COMPONENTS[section][today.get(kind, kind)]
        for config in files.values()
        for section in COMPONENTS
        for kind in (name.partition("/")[0] for name in config.get(section, ()))
    }
    assert built == named


def test_the_tools_program_has_all_that_any_settings_name() -> None:
    every = {module for section in COMPONENTS.values() for module in section.values()}
    assert modules(manifest()) == every
    assert {
        module
        for data in ALL_MODES
        for module in modules(yaml.safe_load(generated(parse_settings(data))["builder.yaml"]))
    } == every


@pytest.mark.parametrize("data", ALL_MODES)
def test_sidelights_own_checks_find_nothing(data: dict[str, Any], tmp_path: Path) -> None:
    for name, text in generated(parse_settings(data)).items():
        (tmp_path / name).write_text(text)
    findings = find([tmp_path], Settings()).findings
    in_memory = {"collector/queue"} & {finding.check.name for finding in findings}
    others = [finding for finding in findings if finding.check.name != "collector/component"]
    assert (others, in_memory) == ([], set())


# --- Metrics ---------------------------------------------------------------------------------------------------------


def test_metrics_do_not_pass_where_prometheus_scrapes() -> None:
    assert [list(config(place)["service"]["pipelines"]) for place in CONFIGS] == [["traces"], ["traces"]]


@pytest.mark.parametrize(
    ("mode", "exporter", "url"),
    [
        ("otlp", "otlp_http/metrics", "http://prometheus:9090/api/v1/otlp"),
        ("remote_write", "prometheus_remote_write", "http://prometheus:9090/api/v1/write"),
    ],
)
def test_metrics_leave_the_gateway_on_one_way(mode: str, exporter: str, url: str) -> None:
    made = config("gateway", {"collector": {"metrics": mode}})
    assert made["service"]["pipelines"]["metrics"]["exporters"] == [exporter]
    assert made["exporters"][exporter]["endpoint"] == url
    elsewhere = config("gateway", {"collector": {"metrics": mode, "metrics_endpoint": "http://mimir:9009/otlp"}})
    assert elsewhere["exporters"][exporter]["endpoint"] == "http://mimir:9009/otlp"


def test_the_sidecar_scrapes_as_prometheus_would() -> None:
    data = {
        "service": {"name": "shop"},
        "metrics": {"path": "/internal", "scrape_interval": "7s", "token_file": "/run/token"},
        "collector": {"metrics": "otlp"},
    }
    (job,) = config("sidecar", data)["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert job == {
        "job_name": "${env:OTEL_SERVICE_NAME:-shop}",
        "scrape_interval": "7s",
        "metrics_path": "/internal",
        "static_configs": [
            {
                "targets": ["127.0.0.1:${env:SIDELIGHT_SERVICE_PORT:-8000}"],
                "labels": {"instance": "${env:POD_NAME:-localhost}"},
            }
        ],
        "authorization": {"credentials_file": "/run/token"},
    }


def test_a_port_of_the_metrics_own_is_scraped() -> None:
    made = config("sidecar", {"metrics": {"port": 9464}, "collector": {"metrics": "otlp"}})
    (job,) = made["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["127.0.0.1:9464"]


def test_components_have_the_names_of_the_collectors_version() -> None:
    old = config("gateway", {"collector": {"version": "0.140.1", "metrics": "remote_write"}})
    assert list(old["exporters"]) == ["otlphttp/backend", "prometheusremotewrite"]


def test_attributes_of_the_settings_are_inserted_and_replace_nothing() -> None:
    made = config("sidecar", {"collector": {"resource_attributes": {"k8s.cluster.name": "north"}}})
    assert made["processors"]["resource"] == {
        "attributes": [{"key": "k8s.cluster.name", "value": "north", "action": "insert"}]
    }
    assert made["service"]["pipelines"]["traces"]["processors"] == ["memory_limiter", "resource", "redaction"]


# --- Several gateways ------------------------------------------------------------------------------------------------


def test_several_gateways_get_a_balancer_by_trace() -> None:
    made = balancer_config(parse_settings({"collector": {"gateways": "gateways.example"}}))
    assert made is not None
    exporter: Any = made["exporters"]["loadbalancing/traces"]  # type: ignore[index]
    assert exporter["routing_key"] == "traceID"
    assert exporter["resolver"]["dns"]["hostname"] == "gateways.example"


def test_one_gateway_has_no_balancer() -> None:
    assert balancer_config(parse_settings({})) is None
    assert "balancer.yaml" not in generated(parse_settings({}))


@pytest.mark.parametrize("name", ["sidecar", "gateway"])
def test_the_file_is_what_the_data_says(name: str) -> None:
    assert yaml.safe_load(generated(parse_settings({}))[f"{name}.yaml"]) == config(name)


def test_the_manifest_is_a_file_too() -> None:
    configs = [make(parse_settings({})) for make in CONFIGS.values()]
    assert yaml.safe_load(generated(parse_settings({}))["builder.yaml"]) == manifest(configs=configs)
