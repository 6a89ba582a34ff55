"""Every object of the charts is valid for the schemas of Kubernetes and of the operators."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from dashboards import generated as dashboards
from instrumentation.settings import Settings, parse_settings
from tests.integration.helm.conftest import Chart
from tests.support.typescript import LITERAL, faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
KUBERNETES = "1.37"
OPERATORS = {
    "PrometheusRule": "prometheus-operator/monitoring.coreos.com/v1",
    "PodMonitor": "prometheus-operator/monitoring.coreos.com/v1",
    "AlertmanagerConfig": "prometheus-operator/monitoring.coreos.com/v1alpha1",
    "OpenTelemetryCollector": "opentelemetry-operator/opentelemetry.io/v1beta1",
}
SECRET = {"name": "a", "key": "b"}
TARGETS = {
    "slack": {"apiURL": SECRET, "channel": "#shop"},
    "pagerduty": {"routingKey": SECRET},
    "opsgenie": {"apiKey": SECRET},
    "email": {"to": "a@b.example", "from": "c@d.example", "smarthost": "mail.example:587", "authUsername": "c",
              "authPassword": SECRET, "requireTLS": True},
    "webhook": [{"urlSecret": SECRET}, {"url": "http://hooks.example/a"}],
    "msteamsv2": {"webhookURL": SECRET},
    "discord": {"apiURL": SECRET},
    "telegram": {"botToken": SECRET, "chatID": -1001234567890},
}  # fmt: skip
MINIMAL: dict[str, Any] = {"rules": {"enabled": False}, "dashboards": {"enabled": False}}
FULL: dict[str, Any] = {
    "commonLabels": {"release": "monitoring"},
    "podMonitor": {"enabled": True, "selector": {"matchLabels": {"app": "shop"}}, "namespaceSelector": {"any": True}},
    "collectorMonitor": {"enabled": True, "namespaceSelector": {"any": True}, "labels": {"team": "platform"}},
    "alertmanagerConfig": {
        "enabled": True,
        "receivers": {"default": TARGETS, "critical": {"pagerduty": TARGETS["pagerduty"]}},
    },
    "gateway": {
        "enabled": True,
        "autoscaling": {"enabled": True},
        "queue": {"size": "2Gi", "storageClassName": "fast"},
        "networkPolicy": {"fromNamespaces": {"matchLabels": {"team": "shop"}}},
        "env": [{"name": "SIDELIGHT_DECISION_WAIT", "value": "20s"}],
    },
    "test": {"enabled": True},
}
CONFIG_MAPS = {**FULL, "rules": {"kind": "ConfigMap"}}
PLAIN_GATEWAY = {"gateway": {"enabled": True}}
BALANCED = {"gateway": {"enabled": True, "replicas": 3}}
BY_OPERATOR: dict[str, Any] = {
    "gateway": {
        "enabled": True,
        "kind": "OpenTelemetryCollector",
        "autoscaling": {"enabled": True},
        "queue": {"size": "2Gi", "storageClassName": "fast"},
    },
    "collectorMonitor": {"enabled": True},
}
SCHEDULING: dict[str, Any] = {
    "podAnnotations": {"example.com/scraped": "no"},
    "nodeSelector": {"pool": "observability"},
    "tolerations": [{"key": "pool", "operator": "Equal", "value": "observability", "effect": "NoSchedule"}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "noisy"}}}
            ]
        }
    },
    "priorityClassName": "platform",
    "imagePullSecrets": [{"name": "registry"}],
}
RELABELINGS = [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node", "action": "replace"}]
PLATFORM: dict[str, Any] = {
    "commonAnnotations": {"example.com/owner": "platform"},
    "rules": {
        "annotations": {"example.com/reviewed": "yes"},
        "alertLabels": {"team": "shop"},
        "alertAnnotations": {"chat": "https://chat.example/shop"},
        "runbookURL": "https://wiki.example/runbooks/{alert}?from=alert",
    },
    "podMonitor": {
        "enabled": True,
        "selector": {"matchLabels": {"app": "shop"}},
        "podTargetLabels": ["team"],
        "relabelings": RELABELINGS,
        "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "python_gc_.*", "action": "drop"}],
        "sampleLimit": 2000000,
        "scheme": "https",
        "tlsConfig": {"ca": {"configMap": {"name": "ca", "key": "ca.crt"}}, "serverName": "shop"},
        "authorization": {"type": "Bearer", "credentials": {"name": "shop-metrics", "key": "token"}},
    },
    "collectorMonitor": {"enabled": True, "podTargetLabels": ["team"], "relabelings": RELABELINGS},
    "gateway": {"enabled": True, **SCHEDULING},
    "test": {"enabled": True, **SCHEDULING},
}
VALUES = {
    "platform": PLATFORM,
    "platform by operator": {**PLATFORM, "gateway": {**SCHEDULING, **BY_OPERATOR["gateway"]}},
    "default": {},
    "minimal": MINIMAL,
    "full": FULL,
    "config maps": CONFIG_MAPS,
    "plain gateway": PLAIN_GATEWAY,
    "balanced gateway": BALANCED,
    "operator": BY_OPERATOR,
}
TEAMS = parse_settings(
    {
        "alerting": {
            "teams": [{"name": "search", "match": {"job": "search"}}],
            "mute_times": [
                {
                    "name": "night",
                    "from": "22:00",
                    "to": "06:00",
                    "severities": ["warning"],
                    "weekdays": ["monday", "friday"],
                }
            ],
        },
        "budget": {"daily_usd": 7.3},
    }
)


def checked(one: dict[str, Any]) -> None:
    """Strict: a key that Kubernetes does not know is a fault."""
    kubernetes_validate.validate(one, KUBERNETES, strict=True)


def to_type(objects: list[dict[str, Any]]) -> str:
    lines = [LITERAL]
    for kind, version in OPERATORS.items():
        lines.append(f"import type {{ I{kind} }} from '@kubernetes-models/{version}/{kind}';")
    for number, one in enumerate(objects):
        lines.append(f"export const object{number} = {json.dumps(one, indent=1)} satisfies Literal<I{one['kind']}>;")
    return "\n".join(lines)


@pytest.fixture(params=["defaults", "teams"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return Settings() if request.param == "defaults" else TEAMS


@pytest.mark.parametrize("name", VALUES)
def test_every_object_passes_the_schemas(
    name: str, settings: Settings, build: Callable[..., Chart], tmp_path: Path
) -> None:
    objects = build(settings, dashboards(settings)).rendered(VALUES[name])
    of_operators = [one for one in objects if one["kind"] in OPERATORS]
    for one in objects:
        if one["kind"] not in OPERATORS:
            checked(one)
    assert faults(tmp_path, to_type(of_operators)) == []
    assert (objects == []) == (name == "minimal")


WRONG = {
    "PrometheusRule": lambda one: one["spec"]["groups"][0]["rules"][0].update(recrod="a"),
    "PodMonitor": lambda one: one["spec"].update(selector="app=shop"),
    "OpenTelemetryCollector": lambda one: one["spec"].update(replica=3),
    "AlertmanagerConfig": lambda one: one["spec"]["route"].update(group_by=["job"]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_the_operators_types_see_what_is_wrong(kind: str, build: Callable[..., Chart], tmp_path: Path) -> None:
    one, *_ = (
        copy.deepcopy(one)
        for one in build().rendered(BY_OPERATOR if "Collector" in kind else FULL)
        if one["kind"] == kind
    )
    WRONG[kind](one)
    assert len(faults(tmp_path, to_type([one]))) >= 1


def test_kubernetes_schemas_see_what_is_wrong(build: Callable[..., Chart]) -> None:
    (one,) = (one for one in build().rendered(PLAIN_GATEWAY) if one["kind"] == "Deployment")
    one["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagePullPolice"):
        checked(one)


# --- The library chart, in the example's own -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The example's chart with its dependency."""
    folder = tmp_path_factory.mktemp("shop")
    for name in ("examples/chart", "helm/sidelight-sidecar"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    chart = Chart(path=folder / "examples" / "chart")
    done = chart.helm("dependency", "build", chart.path)
    assert done.returncode == 0, done.stderr
    return chart


@pytest.mark.parametrize(("version", "native"), [("1.28.0", False), ("1.29.0", True), ("1.33.2", True)])
def test_the_sidecar_is_native_where_the_cluster_has_it(version: str, shop: Chart, *, native: bool) -> None:
    objects = shop.rendered({}, "--kube-version", version)
    for one in objects:
        checked(one)
    (pod,) = (one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment")
    beside = pod["initContainers"] if native else pod["containers"][1:]
    assert [container["name"] for container in beside] == ["sidelight-collector"]
    assert beside[0].get("restartPolicy") == ("Always" if native else None)
    assert len(pod["containers"]) == (1 if native else 2)
    mounts = {mount["name"] for mount in beside[0]["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("native", [True, False])
def test_a_team_may_choose_the_kind_of_sidecar(shop: Chart, *, native: bool) -> None:
    (one,) = (one for one in shop.rendered({"sidelight-sidecar": {"native": native}}) if one["kind"] == "Deployment")
    assert ("initContainers" in one["spec"]["template"]["spec"]) == native


def test_the_sidecars_values_are_strict(shop: Chart) -> None:
    assert "additional properties 'memoryMib' not allowed" in shop.refused({"sidelight-sidecar": {"memoryMib": 64}})


def test_the_sidecars_configuration_is_the_generated_one_with_the_pods_names(shop: Chart) -> None:
    (config,) = (one["data"]["sidecar.yaml"] for one in shop.rendered() if one["kind"] == "ConfigMap")
    found = yaml.safe_load(config)
    plain = yaml.safe_load((ROOT / "collector" / "generated" / "sidecar.yaml").read_text())
    attributes = {one["key"]: one["value"] for one in found["processors"].pop("resource")["attributes"]}
    assert attributes["k8s.pod.name"] == "${env:POD_NAME}"
    found["service"]["pipelines"]["traces"]["processors"].remove("resource")
    assert found == plain


def kinds(objects: list[dict[str, Any]]) -> Iterator[str]:
    return (one["kind"] for one in objects)


# --- The gateway -----------------------------------------------------------------------------------------------------


def test_the_gateway_is_hardened_and_bounded(build: Callable[..., Chart]) -> None:
    objects = build().rendered(PLAIN_GATEWAY)
    found = {"ServiceAccount", "ConfigMap", "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"}
    assert found <= set(kinds(objects))
    (pod,) = (one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment")
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"] == "128Mi"
    assert {"name": "GOMEMLIMIT", "value": "102MiB"} in container["env"]


def test_a_changed_configuration_restarts_the_gateway(chart: Chart) -> None:
    def checksum() -> str:
        (one,) = (one for one in chart.rendered(PLAIN_GATEWAY) if one["kind"] == "Deployment")
        return str(one["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    before = checksum()
    file = chart.path / "files" / "gateway.yaml"
    file.write_text(file.read_text().replace("num_traces: 50000", "num_traces: 70000"))
    assert checksum() != before


def test_a_queue_that_outlives_the_pod_makes_it_a_stateful_set(build: Callable[..., Chart]) -> None:
    (one,) = (one for one in build().rendered(FULL) if one["kind"] == "StatefulSet")
    (claim,) = one["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert claim["spec"]["storageClassName"] == "fast"
    assert "replicas" not in one["spec"]  # the autoscaler's


def test_the_operator_of_opentelemetry_gets_a_collector(build: Callable[..., Chart]) -> None:
    (one,) = (
        one
        for one in build().rendered({"gateway": {"enabled": True, "kind": "OpenTelemetryCollector", "replicas": 3}})
        if one["metadata"]["name"] == "obs-sidelight-gateway"
    )
    assert (one["apiVersion"], one["kind"]) == ("opentelemetry.io/v1beta1", "OpenTelemetryCollector")
    assert one["spec"]["replicas"] == 3
    assert one["spec"]["config"] == yaml.safe_load((ROOT / "collector" / "generated" / "gateway.yaml").read_text())
    assert "observability" not in one["spec"]


def test_the_operator_of_opentelemetry_makes_the_monitor_of_its_own_collector(chart: Chart) -> None:
    (one,) = (one for one in chart.rendered(BY_OPERATOR) if one["kind"] == "OpenTelemetryCollector")
    assert one["spec"]["observability"] == {"metrics": {"enableMetrics": True}}


# --- AlertmanagerConfig ----------------------------------------------------------------------------------------------


def routing(chart: Chart, receivers: dict[str, Any]) -> dict[str, Any]:
    objects = chart.rendered({"alertmanagerConfig": {"enabled": True, "receivers": receivers}})
    (one,) = (one for one in objects if one["kind"] == "AlertmanagerConfig")
    spec: dict[str, Any] = one["spec"]
    return spec


def test_a_receiver_without_targets_takes_the_next_ones(build: Callable[..., Chart]) -> None:
    slack, pager = {"slack": TARGETS["slack"]}, {"pagerduty": TARGETS["pagerduty"]}
    spec = routing(
        build(TEAMS), {"default": slack, "critical": pager, "search-warning": {"webhook": TARGETS["webhook"]}}
    )
    found = {one["name"]: sorted(key for key in one if key != "name") for one in spec["receivers"]}
    assert found == {
        "default": ["slackConfigs"],
        "watchdog": [],
        "info": ["slackConfigs"],
        "critical": ["pagerdutyConfigs"],
        "warning": ["slackConfigs"],
        "search-default": ["slackConfigs"],
        "search-info": ["slackConfigs"],
        "search-critical": ["pagerdutyConfigs"],
        "search-warning": ["webhookConfigs"],
    }


def test_events_have_no_message_that_they_are_over(build: Callable[..., Chart]) -> None:
    spec = routing(build(TEAMS), {"default": {"slack": TARGETS["slack"]}})
    resolved = {
        one["name"]: one["slackConfigs"][0]["sendResolved"] for one in spec["receivers"] if "slackConfigs" in one
    }
    assert {name for name, yes in resolved.items() if not yes} == {"info", "search-info"}


def test_times_outside_of_utc_are_refused(build: Callable[..., Chart]) -> None:
    elsewhere = {
        "name": "night",
        "from": "22:00",
        "to": "06:00",
        "severities": ["warning"],
        "location": "Europe/Berlin",
    }
    chart = build(parse_settings({"alerting": {"mute_times": [elsewhere]}}))
    assert "alerting.mute_times has night outside of UTC" in chart.refused({"alertmanagerConfig": {"enabled": True}})


def test_an_alerts_own_annotation_wins(build: Callable[..., Chart]) -> None:
    own = {"annotations": {"runbook_url": "https://wiki.example/{{ $labels.job }}", "team": "shop"}}
    rule = build().alerts("HighErrorRate", {"alerts": {"HighErrorRate": own}})["critical"]
    assert rule["annotations"]["runbook_url"] == "https://wiki.example/{{ $labels.job }}"
    assert rule["annotations"]["team"] == "shop"
    assert "(limit " in rule["annotations"]["description"]
