"""The Compose example is consistent, as far as can be checked without a container engine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from collector.manifest import VERSION
from instrumentation.settings import load_settings
from sidelight.toolchain import tool

EXAMPLES = Path(__file__).parents[2] / "examples"
COMPOSE: Any = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def test_every_file_that_is_mounted_or_built_from_exists() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert len(mounted) >= 10
    assert [path for path in mounted if not (EXAMPLES / path).exists()] == []
    build = SERVICES["shop"]["build"]
    context = EXAMPLES / build["context"]
    copied = re.findall(r"^COPY (.*) \S+$", (context / build["dockerfile"]).read_text(), re.MULTILINE)
    assert [name for line in copied for name in line.split() if not (context / name).exists()] == []


def test_every_image_has_a_version_and_the_collectors_the_one_that_is_generated_for() -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "image" in service}
    assert [image for image in images.values() if not re.search(r":v?\d+\.\d+\.\d+$", image)] == []
    assert images["sidecar"] == images["sidelight-gateway"]
    assert images["sidecar"].endswith(f":{VERSION}")


def test_prometheus_scrapes_and_tells_services_that_are_there() -> None:
    config = EXAMPLES / "compose" / "prometheus.yml"
    done = subprocess.run(
        [tool("promtool"), "check", "config", config], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = set(re.findall(r'"([\w-]+):\d+"', config.read_text()))
    assert hosts <= set(SERVICES)


def test_the_generated_gateway_sends_to_a_name_that_is_there() -> None:
    settings = load_settings(EXAMPLES / "compose" / "sidelight.yaml")
    assert settings.tracing.endpoint == "http://127.0.0.1:4318"
    aliases = {
        alias
        for name, service in SERVICES.items()
        for alias in (name, *service.get("networks", {}).get("default", {}).get("aliases", ()))
    }
    for address in (settings.collector.gateway_endpoint, settings.collector.traces_endpoint):
        assert re.search(r"//([\w.-]+):", address)[1] in aliases  # type: ignore[index]


def test_no_port_of_the_host_is_taken_twice() -> None:
    ports = [port.split(":")[0] for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(set(ports)) == len(ports)
