"""OpenTelemetry's variables have the effect that the specification describes, or are logged; none stops a start."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import environment_variables as of_the_api
from opentelemetry.sdk import environment_variables as of_the_sdk
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

import instrumentation
from instrumentation.catalog import HTTP_SERVER_ACTIVE_REQUESTS, TARGET_INFO
from instrumentation.errors import SettingsError
from instrumentation.exposition.formats import Exposition, StoreCollector
from instrumentation.logs.rendering import service_facts
from instrumentation.settings import Service, Settings, Tracing, load_settings, parse_settings, startup_log
from instrumentation.settings import opentelemetry as otel
from instrumentation.settings.opentelemetry import VARIABLES, problems, read_tracing, unsupported
from instrumentation.store import LocalStore, add
from instrumentation.target_info import announce
from instrumentation.tracing import traces_of
from tests.unit.instrumentation.test_http import METRICS_ALONE, shop
from tests.unit.instrumentation.test_shared_store import Workers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

METRICS = "Prometheus scrapes `metrics.path`, or the sidecar pushes the metrics (`collector.metrics`)"
NAMED = METRICS_ALONE.model_copy(update={"service": Service(name="shop")})
OF_A_FILE = Tracing(endpoint="http://file:4318", timeout_seconds=7.0, queue_size=3)


def read(environ: Mapping[str, str], file: Tracing | None = None) -> dict[str, Any]:
    """What the environment changes of the settings of traces."""
    file = file or Tracing()
    found = read_tracing(file, environ).tracing
    return {name: value for name, value in found if value != getattr(file, name)}


# --- Where traces go ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " http://c:4318/otlp/ "}, "http://c:4318/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/spans"}, "http://c:4318/spans"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, "http://c:4318/"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/t"}, "http://b/t"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://c:4317"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "c:4317"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318/v1/traces"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://localhost:4317"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({}, None),
    ],
)
def test_the_endpoint_is_that_of_the_specification(environ: Mapping[str, str], endpoint: str | None) -> None:
    assert read(environ).get("endpoint") == endpoint


def test_the_environment_wins_over_the_file_and_the_rest_of_the_file_stays() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
        "OTEL_BSP_MAX_QUEUE_SIZE": "77",
    }
    assert read(environ, OF_A_FILE) == {
        "endpoint": "http://c:4318/v1/traces",
        "timeout_seconds": 3.0,
        "queue_size": 77,
    }
    assert read({"OTEL_TRACES_EXPORTER": "none"}, OF_A_FILE) == {"endpoint": None}
    assert read({"OTEL_TRACES_EXPORTER": "otlp"}, OF_A_FILE) == {}


def test_a_timeout_may_be_seconds_or_milliseconds_and_that_of_traces_wins() -> None:
    environ = {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2500", "OTEL_EXPORTER_OTLP_TIMEOUT": "7"}
    assert read(environ) == {"timeout_seconds": 2.5}


def test_the_service_starts_if_opentelemetry_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otel, "find_spec", lambda _: None)
    found = read_tracing(Tracing(), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"})
    assert found.tracing == Tracing()
    assert found.problems == ("OTEL_EXPORTER_OTLP_ENDPOINT is set, but no traces are sent: install sidelight[tracing]",)


def test_settings_that_are_loaded_have_it_all(tmp_path: Path) -> None:
    file = tmp_path / "sidelight.yaml"
    file.write_text("tracing: {sample_ratio: 0.3}\nservice: {attributes: {team: search, tier: '1'}}\n")
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=7,team=pay%20ments,service.namespace=shop",
    }
    settings = load_settings(file, environ)
    assert (settings.tracing.endpoint, settings.tracing.sample_ratio) == ("http://c:4318/v1/traces", 0.3)
    assert settings.service.version == "7"
    assert settings.service.attributes == {"team": "pay ments", "tier": "1", "service.namespace": "shop"}


def test_of_both_names_of_the_environment_the_newer_one_counts() -> None:
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=old,deployment.environment.name=new"}
    service = load_settings(environ=environ).service
    assert (service.environment, service.attributes) == ("new", {})


# --- What is logged --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            'OTEL_EXPORTER_OTLP_PROTOCOL is "http/json" and is ignored: give grpc or http/protobuf',
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            'OTEL_EXPORTER_OTLP_ENDPOINT is "collector:4318" and is ignored: give a URL, such as http://localhost:4318',
        ),
        (
            {"OTEL_TRACES_EXPORTER": "console,otlp"},
            'OTEL_TRACES_EXPORTER is "console,otlp" and is ignored: give otlp or none',
        ),
        (
            {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
            'OTEL_EXPORTER_OTLP_TIMEOUT is "soon" and is ignored: give seconds, or milliseconds',
        ),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "-7"},
            'OTEL_BSP_MAX_QUEUE_SIZE is "-7" and is ignored: give a whole number above 0',
        ),
        ({"OTEL_SDK_DISABLED": "1"}, 'OTEL_SDK_DISABLED is "1" and counts as false: give true or false'),
        (
            {"OTEL_TRACES_SAMPLER_ARG": "0.3"},
            "OTEL_TRACES_SAMPLER_ARG has no effect without OTEL_TRACES_SAMPLER",
        ),
    ],
)
def test_an_invalid_value_is_logged_and_ignored(environ: Mapping[str, str], sentence: str) -> None:
    assert problems(Tracing(), environ) == [sentence]
    assert read(environ) == {}


def test_unsupported_variables_are_listed_with_an_alternative() -> None:
    environ = {
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOG_LEVEL": "debug",
        "OTEL_NEW_THING": "7",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "api-key=s7",
    }
    assert unsupported(environ) == [
        f"OTEL_EXPORTER_OTLP_METRICS_HEADERS ({METRICS})",
        "OTEL_LOG_LEVEL (set `logging.level`)",
        f"OTEL_METRICS_EXPORTER ({METRICS})",
        "OTEL_NEW_THING (unknown to Sidelight)",
    ]


def test_values_that_agree_and_empty_values_are_not_listed() -> None:
    environ = {
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRIC_EXPORT_INTERVAL": " ",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis",
        "PATH": "/bin",
    }
    assert unsupported(environ) == []
    assert problems(Tracing(), environ) == []


def test_every_variable_of_opentelemetry_for_python_is_known() -> None:
    names = {
        value
        for module in (of_the_api, of_the_sdk)
        for name, value in vars(module).items()
        if name.startswith("OTEL_") and isinstance(value, str)
    }
    assert len(names) > 60
    assert [name for name in names if otel._row(name).name == "OTEL_*"] == []
    assert VARIABLES[-1].name == "OTEL_*"


def test_variables_are_logged_once_at_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    startup_log._log_variables.cache_clear()
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
    with caplog.at_level(logging.INFO, "instrumentation"):
        for _ in range(3):
            app = instrumentation.instrument(shop(), settings=NAMED, store=LocalStore(), registry=CollectorRegistry())
            with TestClient(app):
                pass
    records = [record for record in caplog.records if record.module == "startup_log"]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("WARNING", 'OTEL_EXPORTER_OTLP_TIMEOUT is "soon" and is ignored: give seconds, or milliseconds'),
        (
            "INFO",
            "environment variables that are not supported and have no effect: OTEL_LOGS_EXPORTER (Sidelight writes logs to stdout)",
        ),
    ]


def test_a_propagator_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", "tracecontext,b3")
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SettingsError) as caught:
        traces_of(LocalStore(), parse_settings({"tracing": {"endpoint": "http://c:4318"}}))
    assert str(caught.value) == (
        "OTEL_PROPAGATORS: cannot be used (Propagator b3 not found. It is either misspelled or not installed); "
        "install the package that brings it, such as opentelemetry-propagator-b3, or leave it out."
    )


# --- Resource attributes --------------------------------------------------------------------------------------------


SERVICE = Service(
    name="shop",
    attributes={
        "team": "pay",
        "service.namespace": "north",
        "k8s.pod.name": "shop-7",
        "service_name": "x",
        "none": "x",
    },
).model_copy(
    update={"attributes": {"team": "pay", "service.namespace": "north", "k8s.pod.name": "shop-7", "empty": ""}}
)
LABELS = {
    "service_name": "shop",
    "service_version": "0",
    "deployment_environment_name": "development",
    "team": "pay",
    "service_namespace": "north",
    "k8s_pod_name": "shop-7",
}


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_target_info_has_every_attribute(accept: str) -> None:
    store = LocalStore()
    announce(store, SERVICE)
    (line,) = [
        line for line in Exposition(store).page(accept).body.decode().splitlines() if line.startswith("target_info")
    ]
    (family,) = text_string_to_metric_families(f"{line}\n")
    assert family.samples[0].labels == LABELS


def test_target_info_has_them_in_a_registry_too() -> None:
    store, registry = LocalStore(), CollectorRegistry()
    announce(store, SERVICE)
    registry.register(StoreCollector(store))
    assert registry.get_sample_value("target_info", LABELS) == 1.0
    assert b'team="pay"' in generate_latest(registry)


def test_target_info_has_them_on_the_page_of_every_worker(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "shop")
    first, second = workers.start(), workers.start()
    announce(first, SERVICE)
    add(first, HTTP_SERVER_ACTIVE_REQUESTS.extended("tenant"), ("GET", "acme"), 7.0)
    rows = {row.metric.name: (row.metric.labels, row.labels, row.slots) for row in second.series()}
    assert dict(zip(*rows["target_info"][:2], strict=True)) == LABELS
    assert rows["http_server_active_requests"] == (("http_request_method", "tenant"), ("GET", "acme"), (7.0,))


def test_services_of_one_process_may_have_different_attributes() -> None:
    store = LocalStore()
    announce(store, Service(name="a", attributes={"team": "x"}))
    announce(store, Service(name="b", attributes={"tier": "1"}))
    announce(store, Service(name="c"))
    text = Exposition(store).page().body.decode()
    infos = [sample.labels for family in text_string_to_metric_families(text) for sample in family.samples
             if sample.name == "target_info"]  # fmt: skip
    assert [{*labels} - {*TARGET_INFO.labels} for labels in infos] == [{"team"}, {"tier"}, set()]
    assert [labels["service_name"] for labels in infos] == ["a", "b", "c"]


def test_log_lines_have_attributes_of_the_service_but_not_of_the_platform() -> None:
    service = SERVICE.model_copy(update={"attributes": {**SERVICE.attributes, "level": "7", "host.name": "node"}})
    assert service_facts(service) == {
        "service": "shop",
        "version": "0",
        "environment": "development",
        "service_namespace": "north",
        "team": "pay",
    }


@pytest.mark.parametrize("key", ["service.name", "deployment.environment"])
def test_an_attribute_with_its_own_key_is_refused(key: str) -> None:
    with pytest.raises(
        SettingsError, match=rf"^settings: service\.attributes\.\W*{key}.*give service\.(name|environment)"
    ):
        parse_settings({"service": {"attributes": {key: "x"}}})


def test_without_attributes_nothing_changes() -> None:
    assert TARGET_INFO.extended() is TARGET_INFO
    assert TARGET_INFO.extended("team") is TARGET_INFO.extended("team")
    assert load_settings(environ={}) == Settings()
