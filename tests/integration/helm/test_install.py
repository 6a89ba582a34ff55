"""Installation as documented, into many clusters: names, missing kinds, restricted namespaces, upgrades."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from instrumentation.settings import Settings
from tests.integration.helm.cluster import cluster
from tests.integration.helm.test_objects import EXAMPLES, by_kind, notes
from tests.integration.helm.test_schemas import BY_OPERATOR, FULL, PLAIN_GATEWAY, shop  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Chart

ROOT = Path(__file__).parents[3]
OFFLINE = "--disable-openapi-validation"  # the fake cluster has no OpenAPI schemas

# --- Names -----------------------------------------------------------------------------------------------------------

LABEL = r"[a-z]([a-z0-9-]*[a-z0-9])?"
LONG = "b" * 53  # the longest that Helm takes


def named(chart: Chart, release: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    given = chart.path.parent / "given.yaml"
    given.write_text(yaml.safe_dump(values))
    done = chart.helm("template", release, chart.path, "--namespace", "monitoring", "--values", given)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def labels_of(one: Any) -> Iterator[str]:
    """Every value of a label of Kubernetes; those of alerts are Prometheus's, and may be of any length."""
    if isinstance(one, dict):
        for key, value in one.items():
            if key == "groups":
                continue
            if key in {"labels", "matchLabels", "selector"} and all(isinstance(text, str) for text in value.values()):
                yield from value.values()
            else:
                yield from labels_of(value)
    elif isinstance(one, list):
        for inner in one:
            yield from labels_of(inner)


@pytest.mark.parametrize("release", [LONG, f"{LONG[:-1]}c", "1obs", "obs.prod", "7", "obs"])
@pytest.mark.parametrize("values", [FULL, PLAIN_GATEWAY], ids=["stateful", "plain"])
def test_every_release_name_that_helm_accepts_gives_names_valid_in_kubernetes(
    release: str, values: dict[str, Any], chart: Chart
) -> None:
    objects = named(chart, release, values)
    for one in objects:
        name = one["metadata"]["name"]
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", name), name
        assert all(len(value) <= 63 for value in labels_of(one)), name
    names = [service["metadata"]["name"] for service in by_kind(objects, "Service")]
    assert names
    assert all(re.fullmatch(LABEL, name) for name in names)
    # A StatefulSet's name is followed by a hash of ten characters in a label of its pods.
    assert all(len(one["metadata"]["name"]) <= 52 for one in by_kind(objects, "StatefulSet"))


def test_two_long_releases_that_differ_at_their_end_share_no_name(chart: Chart) -> None:
    names = [{(one["kind"], one["metadata"]["name"]) for one in named(chart, release, FULL)}
             for release in (LONG, f"{LONG[:-1]}c")]  # fmt: skip
    assert names[0].isdisjoint(names[1])


def test_a_long_name_of_the_chart_s_own_is_cut_in_labels_too(chart: Chart) -> None:
    objects = chart.rendered({**FULL, "nameOverride": "n" * 63})
    assert all(len(value) <= 63 for one in objects for value in labels_of(one))


# --- Kinds that are missing ------------------------------------------------------------------------------------------

SELECTED = {"enabled": True, "selector": {"matchLabels": {"app": "shop"}}}
MISSING = {
    "rules.kind: got PrometheusRule, and the cluster has no kind PrometheusRule of monitoring.coreos.com/v1; "
    "install the Prometheus Operator, or set rules.kind=ConfigMap.": {},
    "podMonitor.enabled: got true, and the cluster has no kind PodMonitor": {
        "rules": {"kind": "ConfigMap"},
        "podMonitor": SELECTED,
    },
    "collectorMonitor.enabled: got true, and the cluster has no kind PodMonitor": {
        "rules": {"kind": "ConfigMap"},
        "collectorMonitor": {"enabled": True},
    },
    "rules.kind: got VMRule, and the cluster has no kind VMRule of operator.victoriametrics.com/v1beta1; "
    "install the VictoriaMetrics operator, or set rules.kind=ConfigMap.": {"rules": {"kind": "VMRule"}},
    "podMonitor.enabled: got true, and the cluster has no kind VMPodScrape": {
        "rules": {"kind": "ConfigMap"},
        "podMonitor": {**SELECTED, "kind": "VMPodScrape"},
    },
    "alertmanagerConfig.enabled: got true, and the cluster has no kind AlertmanagerConfig of "
    "monitoring.coreos.com/v1alpha1": {"rules": {"kind": "ConfigMap"}, "alertmanagerConfig": {"enabled": True}},
    "gateway.kind: got OpenTelemetryCollector, and the cluster has no kind OpenTelemetryCollector of "
    "opentelemetry.io/v1beta1; install the OpenTelemetry Operator, or set gateway.kind=Deployment.": {
        "rules": {"kind": "ConfigMap"},
        "gateway": BY_OPERATOR["gateway"],
    },
}


@pytest.mark.parametrize("sentence", MISSING)
def test_a_kind_that_the_cluster_lacks_is_named_with_what_to_set(sentence: str, chart: Chart, tmp_path: Path) -> None:
    with cluster(tmp_path, operator=False) as there:
        assert sentence in chart.refused(MISSING[sentence], "--dry-run=server", there, OFFLINE)


def test_a_cluster_that_has_the_kinds_and_helm_template_without_one_refuse_nothing(
    chart: Chart, tmp_path: Path
) -> None:
    values = {"podMonitor": SELECTED, "alertmanagerConfig": {"enabled": True}}
    with cluster(tmp_path) as there:
        assert chart.rendered(values, "--dry-run=server", there, OFFLINE) == chart.rendered(values)


# --- Secrets ---------------------------------------------------------------------------------------------------------


def secret(name: str, *keys: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "monitoring"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": dict.fromkeys(keys, "YQ==")}


def test_notes_name_the_keys_of_secrets_that_are_missing_and_no_others(chart: Chart, tmp_path: Path) -> None:
    slack = {"slack": {"apiURL": {"name": "chat", "key": "url"}, "channel": "#shop"}}
    both = {**slack, "pagerduty": {"routingKey": {"name": "pager", "key": "shop"}}}
    mail = {"email": {"to": "a@b.example", "from": "c@d.example", "smarthost": "mail.example:587",
                      "authPassword": {"name": "chat", "key": "mail"}}}  # fmt: skip
    receivers = {"default": both, "info": mail}
    values = {"alertmanagerConfig": {"enabled": True, "receivers": receivers}}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    arguments = ("--values", str(tmp_path / "values.yaml"), "--dry-run=server", OFFLINE)
    with cluster(tmp_path, secret("chat", "url"), secret("pager", "other")) as there:
        text = notes(chart, *arguments, there)
        unchecked = notes(chart, *arguments, there, "--set", "checkSecrets=false")
    assert re.findall(r"^  Secret .*", text, re.MULTILINE) == ["  Secret chat: mail", "  Secret pager: shop"]
    assert "Secrets:" not in unchecked
    with cluster(tmp_path, secret("chat", "url", "mail"), secret("pager", "shop")) as there:
        assert "Secrets:" not in notes(chart, *arguments, there)


# --- Upgrades --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "fits"), [("2Gi", True), ("2048Mi", True), ("4Gi", False)])
def test_an_upgrade_that_would_change_a_volume_claim_is_refused_before_it_begins(
    size: str,
    fits: bool,  # noqa: FBT001
    chart: Chart,
    tmp_path: Path,
) -> None:
    values = {"gateway": {"enabled": True, "queue": {"size": size}}}
    (there_is,) = by_kind(chart.rendered({"gateway": {"enabled": True, "queue": {"size": "2Gi"}}}), "StatefulSet")
    there_is["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": "obs",
        "meta.helm.sh/release-namespace": "monitoring",
    }
    with cluster(tmp_path, there_is) as there:
        done = chart.template(values, "--dry-run=server", there, OFFLINE)
    assert (done.returncode == 0) is fits, done.stderr
    if not fits:
        assert (
            "gateway.queue.size: got 4Gi, but the volume claims of the StatefulSet obs-sidelight-gateway are for 2Gi, "
            "and an upgrade cannot change them; give 2Gi, or grow the volumes first, as the chart's UPGRADING.md says."
        ) in done.stderr
    assert "## Grow the gateway's queue" in (chart.path / "UPGRADING.md").read_text()


# --- Restricted namespaces -------------------------------------------------------------------------------------------


def restricted_faults(pod: dict[str, Any]) -> Iterator[str]:
    """What Kubernetes' Pod Security Standard "restricted" would say, container by container."""
    of_pod = pod.get("securityContext", {})
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own = container.get("securityContext", {})
        both = {**of_pod, **own}
        fits = {
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities", {}).get("drop") == ["ALL"] and "add" not in own["capabilities"],
            "privileged": not own.get("privileged"),
            "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
        }
        yield from (f"{container['name']}: {name}" for name, well in fits.items() if not well)
    kinds = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    yield from (f"{volume['name']}: kind" for volume in pod.get("volumes", []) if not set(volume) - {"name"} <= kinds)
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    templates = [one["spec"].get("template", {}).get("spec") for one in objects if "spec" in one]
    return [one["spec"] for one in by_kind(objects, "Pod")] + [pod for pod in templates if pod]


@pytest.mark.parametrize("version", ["1.28.0", "1.33.0"])
def test_the_example_s_pods_may_run_in_a_restricted_namespace(version: str, shop: Chart) -> None:  # noqa: F811
    (pod,) = pods(shop.rendered({}, "--kube-version", version))
    assert list(restricted_faults(pod)) == []


@pytest.mark.parametrize("values", [FULL, PLAIN_GATEWAY], ids=["stateful", "plain"])
def test_the_chart_s_pods_may_run_in_a_restricted_namespace(values: dict[str, Any], chart: Chart) -> None:
    found = pods(chart.rendered(values))
    assert len(found) >= 1
    assert [fault for pod in found for fault in restricted_faults(pod)] == []


def test_what_restricted_forbids_is_seen() -> None:
    pod = {"hostNetwork": True, "volumes": [{"name": "v", "hostPath": {}}], "containers": [{"name": "c"}]}
    assert list(restricted_faults(pod)) == [
        "c: runAsNonRoot", "c: seccompProfile", "c: allowPrivilegeEscalation", "c: capabilities", "v: kind", "hostNetwork"
    ]  # fmt: skip


# --- The documentation -----------------------------------------------------------------------------------------------


def documented() -> tuple[str, str]:
    """The release and the namespace of the documented installation, the same on every page."""
    pages = ["README.md", "docs/tutorial.md", "docs/how-to/install-the-chart.md", "helm/sidelight/README.md"]
    command = re.compile(r"helm install (\S+) (?:observability/)?helm/sidelight --namespace (\S+)")
    ((release, namespace),) = {found for page in pages for found in command.findall((ROOT / page).read_text())}
    return release, namespace


def test_the_sidecars_send_by_default_to_the_gateway_of_the_documented_release(build: Callable[..., Chart]) -> None:
    release, namespace = documented()
    (service,) = by_kind(named(build(), release, PLAIN_GATEWAY), "Service")
    host = f"{service['metadata']['name']}.{namespace}"
    assert Settings().collector.gateway_endpoint == f"http://{host}:4318"
    assert {"name": "otlp-http", "port": 4318, "targetPort": "otlp-http", "appProtocol": "http"} in service["spec"][
        "ports"
    ]


def test_the_documented_selector_finds_the_pods_of_the_example_and_their_port(shop: Chart) -> None:  # noqa: F811
    examples = [
        found["podMonitor"] for found in map(yaml.safe_load, EXAMPLES) if "selector" in found.get("podMonitor", {})
    ]
    assert len(examples) >= 1
    (deployment,) = by_kind(shop.rendered(), "Deployment")
    template = deployment["spec"]["template"]
    for example in examples:
        assert example["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    values = yaml.safe_load((ROOT / "helm/sidelight/values.yaml").read_text())["podMonitor"]
    ports = {port["name"] for container in template["spec"]["containers"] for port in container.get("ports", [])}
    assert values["port"] in ports
    assert values["jobLabel"] in template["metadata"]["labels"]
