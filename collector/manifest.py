"""The manifest for OpenTelemetry's collector builder, with only the components that the configurations use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

VERSION = "0.159.0"
"""Version of the collector and its components; stable modules have a separate version."""

STABLE = "1.65.0"
PROGRAM = "otelcol-sidelight"

_CORE = "go.opentelemetry.io/collector"
_CONTRIB = "github.com/open-telemetry/opentelemetry-collector-contrib"
COMPONENTS = {
    "receivers": {
        "otlp": f"{_CORE}/receiver/otlpreceiver",
        "prometheus": f"{_CONTRIB}/receiver/prometheusreceiver",
    },
    "processors": {
        "memory_limiter": f"{_CORE}/processor/memorylimiterprocessor",
        "redaction": f"{_CONTRIB}/processor/redactionprocessor",
        "resource": f"{_CONTRIB}/processor/resourceprocessor",
        "tail_sampling": f"{_CONTRIB}/processor/tailsamplingprocessor",
    },
    "exporters": {
        "otlp_http": f"{_CORE}/exporter/otlphttpexporter",
        "loadbalancing": f"{_CONTRIB}/exporter/loadbalancingexporter",
        "prometheus_remote_write": f"{_CONTRIB}/exporter/prometheusremotewriteexporter",
    },
    "extensions": {
        "health_check": f"{_CONTRIB}/extension/healthcheckextension",
        "file_storage": f"{_CONTRIB}/extension/storage/filestorage",
    },
}
"""Section to component name in a configuration and Go module."""

_PROVIDERS = (f"{_CORE}/confmap/provider/envprovider", f"{_CORE}/confmap/provider/fileprovider")


def manifest(output: str = "./build", configs: Iterable[Mapping[str, Any]] | None = None) -> dict[str, object]:
    """The manifest as data.

    Args:
        output: The folder that the builder writes sources and binary to.
        configs: The configurations that the binary must be able to run; by default all possible ones.
    """
    used = None if configs is None else {one for config in configs for one in _components(config)}
    parts = {
        section: [
            {"gomod": f"{module} v{VERSION}"}
            for name, module in modules.items()
            if used is None or (section, name) in used
        ]
        for section, modules in COMPONENTS.items()
    }
    return {
        # Without Prometheus' service discovery for clouds; static targets are enough in a pod.
        "dist": {"name": PROGRAM, "version": VERSION, "output_path": output, "build_tags": "remove_all_sd"},
        **parts,
        "providers": [{"gomod": f"{module} v{STABLE}"} for module in _PROVIDERS],
    }


def to_manifest(output: str = "./build", configs: Iterable[Mapping[str, Any]] | None = None) -> str:
    """The text of the manifest."""
    text = yaml.safe_dump(manifest(output, configs), sort_keys=False)
    return f"# Written by `sidelight build`; for `builder --config` of OpenTelemetry Collector {VERSION}.\n{text}"


def _components(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section and current type name of each component in a configuration."""
    today = {was: name for name, (was, _) in _RENAMED.items()}
    for section in COMPONENTS:
        for name in config.get(section, ()):
            kind = name.partition("/")[0]
            yield section, today.get(kind, kind)


_RENAMED = {"otlp_http": ("otlphttp", (0, 144)), "prometheus_remote_write": ("prometheusremotewrite", (0, 154))}


def named(component: str, version: str) -> str:
    """The name of a component in a version of the collector.

    >>> named("otlp_http", "0.159.0"), named("otlp_http", "0.140.1"), named("otlp", "0.140.1")
    ('otlp_http', 'otlphttp', 'otlp')
    """
    was, since = _RENAMED.get(component, (component, (0,)))
    return component if tuple(map(int, version.split("."))) >= since else was
