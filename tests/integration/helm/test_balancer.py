"""Balancers before several gateways, so that all spans of a trace reach the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from collector.balancer import balancer_config
from instrumentation.settings import Settings

if TYPE_CHECKING:
    from tests.integration.helm.conftest import Chart

SEVERAL = {"replicas": {"replicas": 3}, "autoscaling": {"autoscaling": {"enabled": True}}}
NAME = "obs-sidelight-gateway"


def rendered(chart: Chart, gateway: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Kind and name to object, of the gateway."""
    objects = chart.rendered({"gateway": {"enabled": True, **gateway}})
    return {(one["kind"], one["metadata"]["name"]): one for one in objects if NAME in one["metadata"]["name"]}


def labels_of_pods(objects: dict[tuple[str, str], dict[str, Any]], name: str) -> dict[str, str]:
    labels: dict[str, str] = objects["Deployment", name]["spec"]["template"]["metadata"]["labels"]
    return labels


def selects(service: dict[str, Any], labels: dict[str, str]) -> bool:
    return bool(service["spec"]["selector"].items() <= labels.items())


@pytest.mark.parametrize("several", SEVERAL)
def test_what_sidecars_send_to_the_gateway_goes_to_a_balancer_that_knows_every_gateway(
    several: str, chart: Chart
) -> None:
    objects = rendered(chart, SEVERAL[several])
    gateways, balancers = labels_of_pods(objects, NAME), labels_of_pods(objects, f"{NAME}-balancer")
    front, every = objects["Service", NAME], objects["Service", f"{NAME}-all"]
    assert (selects(front, gateways), selects(front, balancers)) == (False, True)
    assert (selects(every, gateways), selects(every, balancers)) == (True, False)
    assert every["spec"]["clusterIP"] == "None"
    (container,) = objects["Deployment", f"{NAME}-balancer"]["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert env["SIDELIGHT_GATEWAYS"] == f"{NAME}-all.monitoring.svc"


@pytest.mark.parametrize("gateway", [{}, {"replicas": 3, "balancer": {"enabled": False}}], ids=["one", "left out"])
def test_without_a_balancer_sidecars_reach_the_gateways(gateway: dict[str, Any], chart: Chart) -> None:
    objects = rendered(chart, gateway)
    assert [kind for kind, name in objects if name != NAME] == []
    assert selects(objects["Service", NAME], labels_of_pods(objects, NAME))


def test_the_configuration_is_that_of_the_balancer(chart: Chart) -> None:
    """The tests of the collector run it on the real program."""
    data = rendered(chart, {"replicas": 2})["ConfigMap", f"{NAME}-balancer"]["data"]["balancer.yaml"]
    assert yaml.safe_load(data) == balancer_config(Settings(), "${env:SIDELIGHT_GATEWAYS}")


def test_a_restricted_gateway_hears_only_balancers_and_these_the_namespaces(chart: Chart) -> None:
    policy = {"networkPolicy": {"fromNamespaces": {"matchLabels": {"team": "shop"}}}}
    objects = rendered(chart, {"replicas": 2, **policy})
    (gateway, *_), (balancer, *_) = (
        objects["NetworkPolicy", name]["spec"]["ingress"] for name in (NAME, f"{NAME}-balancer")
    )
    (source,) = gateway["from"]
    assert source["podSelector"]["matchLabels"].items() <= labels_of_pods(objects, f"{NAME}-balancer").items()
    assert balancer["from"] == [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}]


def test_the_balancer_of_the_operators_gateway_uses_its_headless_service(chart: Chart) -> None:
    objects = rendered(chart, {"kind": "OpenTelemetryCollector", "autoscaling": {"enabled": True}})
    (container,) = objects["Deployment", f"{NAME}-balancer"]["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert env["SIDELIGHT_GATEWAYS"] == f"{NAME}-collector-headless.monitoring.svc"
    assert selects(objects["Service", f"{NAME}-balancer"], labels_of_pods(objects, f"{NAME}-balancer"))


def test_notes_say_where_to_send_and_what_is_missing(chart: Chart) -> None:
    def notes(*values: str) -> str:
        given = [word for value in ("gateway.enabled=true", *values) for word in ("--set", value)]
        done = chart.helm("install", "obs", chart.path, "--namespace", "monitoring", "--dry-run=client", *given)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:\n")[2]

    assert f"gateway_endpoint: http://{NAME}.monitoring:4318" in notes("gateway.replicas=2")
    by_operator = notes("gateway.replicas=2", "gateway.kind=OpenTelemetryCollector")
    assert f"gateway_endpoint: http://{NAME}-balancer.monitoring:4318" in by_operator
    assert "Balancers in front of the gateways" in by_operator
    assert "There may be several gateways and no balancer" in notes(
        "gateway.replicas=2", "gateway.balancer.enabled=false"
    )
    assert "alancer" not in notes()


def test_a_wrong_quantity_is_refused(chart: Chart) -> None:
    assert 'gateway.balancer.resources.memory: got "2 GB";' in chart.refused(
        {"gateway": {"balancer": {"resources": {"memory": "2 GB"}}}}
    )
