"""What is tried in the cluster, step by step; each step says what was seen, or fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from sidelight.toolchain.processes import start
from sidelight.toolchain.toolbox import tool
from tests.cluster.api import RefusedError, path_of, until
from tests.cluster.monitoring import NAMESPACE, namespace
from tests.cluster.nodes import reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.demo.webhook import Webhook
    from tests.cluster.api import Api, Credentials, Object
    from tests.cluster.monitoring import Monitoring
    from tests.cluster.nodes import Nodes

ROOT = Path(__file__).parents[2]
SHOP = "shop"
RELEASE = "obs"
_HELM_TIMEOUT = 180.0  # seconds
_ALERT_TIMEOUT = 240.0  # seconds: scrape, evaluation, `for`, group_wait
_OWNER = f"{NAMESPACE}/{RELEASE}-sidelight"


class WrongError(AssertionError):
    """A step showed something else than it should."""


def check(condition: object, what: str) -> None:
    """Fail a step.

    Raises:
        WrongError: The condition is false.
    """
    if not condition:
        raise WrongError(what)


@dataclass(frozen=True, kw_only=True)
class Helm:
    """Helm, for this cluster, with a folder of its own.

    Attributes:
        folder: For its caches and values.
        access: The cluster.
    """

    folder: Path
    access: Credentials

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run Helm; the caller judges its status."""
        words = [str(each) for each in (tool("helm"), "--kubeconfig", self.access.kubeconfig, *arguments)]
        environ = {
            **os.environ,
            **{f"HELM_{each}_HOME": str(self.folder / each.lower()) for each in ("CACHE", "CONFIG", "DATA")},
        }
        return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=_HELM_TIMEOUT, check=False)

    def must(self, *arguments: str | Path) -> str:
        """Run Helm and return what it printed.

        Raises:
            WrongError: It fails.
        """
        done = self.run(*arguments)
        check(done.returncode == 0, f"helm {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def values(self, name: str, values: Object) -> Path:
        """A file with values."""
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What the steps share.

    Attributes:
        api: The API.
        helm: Helm.
        nodes: The played node.
        folder: For logs and copies of charts.
        monitoring: Prometheus and Alertmanager.
        webhook: What Alertmanager sends to.
    """

    api: Api
    helm: Helm
    nodes: Nodes
    folder: Path
    monitoring: Monitoring
    webhook: Webhook

    def values(self, **changes: Any) -> Object:
        """The values of the release."""
        hook = {"webhook": {"url": self.webhook.url}}
        return {
            "podMonitor": {
                "enabled": True,
                "selector": {"matchLabels": {"app.kubernetes.io/part-of": SHOP}},
                "namespaceSelector": {"matchNames": [SHOP]},
                "interval": "5s",
            },
            "alertmanagerConfig": {"enabled": True, "receivers": {"default": hook, "watchdog": hook}},
            "gateway": {"enabled": True},
            "alerts": {"HighErrorRate": {"critical": {"for": "10s"}}},
            "test": {
                "enabled": True,
                "prometheusURL": self.monitoring.prometheus.url,
                "alertmanagerURL": self.monitoring.alertmanager.url,
            },
            **changes,
        }

    def objects(self, release: str = RELEASE) -> list[Object]:
        """The objects of a release, as Helm keeps them."""
        manifest = self.helm.must("get", "manifest", release, "--namespace", NAMESPACE)
        return [one for one in yaml.safe_load_all(manifest) if one]


def without_the_operators_kinds(helm: Helm, api: Api) -> str:
    """Before the operator is there: the error says what to do, and nothing is left."""
    namespace(api, NAMESPACE)
    done = helm.run("install", RELEASE, ROOT / "helm" / "sidelight", "--namespace", NAMESPACE)
    check(done.returncode != 0, "helm installs a PrometheusRule into a cluster without that kind")
    check("rules.kind=ConfigMap" in done.stderr, f"the error does not name rules.kind=ConfigMap: {done.stderr}")
    left = api.items(
        f"/api/v1/namespaces/{NAMESPACE}/configmaps", labelSelector=f"app.kubernetes.io/instance={RELEASE}"
    )
    check(not left, "objects are left after an installation that failed")
    return "Helm refuses; the error names `rules.kind=ConfigMap`; no object is left."


def the_restricted_standard_is_enforced(cluster: Cluster) -> str:
    """The server refuses pods that do not meet the standard; otherwise the other steps would prove nothing."""
    pod = {"containers": [{"name": "any", "image": "any"}]}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any", "namespace": NAMESPACE}, "spec": pod}
    try:
        cluster.api.apply(document, dry_run=True)
    except RefusedError as error:
        check("restricted" in str(error), str(error))
        return "A pod without a security context is refused."
    raise WrongError("a pod without a security context is accepted")


def installation(cluster: Cluster) -> str:
    """Install the chart; every object exists, and its pods are accepted and ready."""
    values = cluster.helm.values("values", cluster.values())
    cluster.helm.must("install", RELEASE, ROOT / "helm" / "sidelight", "--namespace", NAMESPACE, "--values", values)
    objects = cluster.objects()
    for one in objects:
        check(cluster.api.get(path_of(one, NAMESPACE)), f"{one['kind']} {one['metadata']['name']} does not exist")
    until(lambda: _is_available(cluster.api, f"{RELEASE}-sidelight-gateway"), "the gateway's pods are ready")
    return f"{len(objects)} objects exist; the gateway's Deployment is available."


def the_operator_loads_the_rules(cluster: Cluster) -> str:
    """Every group of the chart is in Prometheus, by the operator's ConfigMaps, and evaluates."""
    wanted = {
        group["name"] for one in cluster.objects() if one["kind"] == "PrometheusRule" for group in one["spec"]["groups"]
    }
    rules = until(lambda: _healthy(cluster, wanted), "every group is loaded and evaluated", 120.0)
    return f"{len(wanted)} groups with {len(rules)} rules are loaded; every rule evaluates without an error."


def the_shop_is_scraped(cluster: Cluster) -> str:
    """The shop's own chart, with the sidecar, in a restricted namespace; the PodMonitor finds its pods."""
    until(lambda: cluster.monitoring.up(SHOP) == 2, "both pods of the shop are scraped")
    answer = cluster.monitoring.prometheus.get("/api/v1/query", query=f'up{{job="{SHOP}"}}')
    labels = answer["data"]["result"][0]["metric"]
    check({"job", "instance", "namespace", "pod"} <= labels.keys(), f"the series carry only {sorted(labels)}")
    return "Kubernetes creates both pods with the sidecar; Prometheus discovers them and scrapes them as job `shop`."


def helm_test(cluster: Cluster) -> str:
    """The chart's own test, whose script runs here."""
    done = until(lambda: _tested(cluster), "helm test succeeds", 180.0)
    return f"It succeeds: {'; '.join(done.strip().splitlines()[-2:])}."


def an_alert_arrives(cluster: Cluster) -> str:
    """Requests fail; HighErrorRate goes through the operator's configuration of Alertmanager to the webhook."""
    seen: set[tuple[str, str]] = set()

    def arrived() -> bool:
        cluster.monitoring.sync()
        seen.update((one.key.alert, one.key.severity) for one in cluster.webhook.take() if one.firing)
        return ("HighErrorRate", "critical") in seen

    until(arrived, "HighErrorRate reaches the webhook", _ALERT_TIMEOUT)
    (alert, *_) = cluster.monitoring.firing(alertname="HighErrorRate", severity="critical")
    check(alert["labels"]["job"] == SHOP, f"it fires for {alert['labels']}")
    check(alert["labels"]["sidelight"] == _OWNER, f"its owner is {alert['labels'].get('sidelight')}")
    until(lambda: arrived() and ("Watchdog", "none") in seen, "Watchdog reaches the webhook", _ALERT_TIMEOUT)
    return "HighErrorRate (critical) and Watchdog reach the webhook; the Alertmanager's strategy is `OnNamespace`, the operator's default."


def an_upgrade_without_changes_changes_nothing(cluster: Cluster) -> str:
    """Nothing is written, and nothing that a tool such as Argo CD compares differs."""
    before = _versions(cluster)
    cluster.helm.must("upgrade", RELEASE, ROOT / "helm" / "sidelight", "--namespace", NAMESPACE, "--reuse-values")
    check(_versions(cluster) == before, "an upgrade without changes writes objects")
    for one in cluster.objects():
        now = cluster.api.get(path_of(one, NAMESPACE)) or {}
        then = cluster.api.apply(one, namespace=NAMESPACE, dry_run=True)
        check(
            _content(now) == _content(then), f"{one['kind']} {one['metadata']['name']} drifts when it is applied again"
        )
    return (
        f"{len(before)} objects keep their version; applying them again, with strict validation, would change nothing."
    )


def an_upgrade_and_a_rollback(cluster: Cluster) -> str:
    """A new threshold reaches Prometheus; after the rollback the old one is back."""
    was = _threshold(cluster)
    cluster.helm.must("upgrade", RELEASE, ROOT / "helm" / "sidelight", "--namespace", NAMESPACE, "--reuse-values",
                    "--set-json", "alerts.HighErrorRate.critical.threshold=0.08")  # fmt: skip
    until(lambda: "0.08" in _threshold(cluster), "the new threshold is loaded", 120.0)
    cluster.helm.must("rollback", RELEASE, "--namespace", NAMESPACE)
    until(lambda: _threshold(cluster) == was, "the old threshold is back", 120.0)
    return "Prometheus evaluates the new threshold, and after the rollback the old one."


def a_larger_queue_is_refused(cluster: Cluster) -> str:
    """The volume claims of a StatefulSet cannot change: the chart refuses before anything changes, and says what to do."""
    arguments = ("upgrade", RELEASE, ROOT / "helm" / "sidelight", "--namespace", NAMESPACE, "--reuse-values")
    cluster.helm.must(*arguments, "--set", "gateway.queue.size=2Gi")
    done = cluster.helm.run(*arguments, "--set", "gateway.queue.size=4Gi")
    check(done.returncode != 0, "a StatefulSet's claim was changed")
    check("updates to statefulset" not in done.stderr, f"Kubernetes refused it half way: {done.stderr}")
    cluster.helm.must(*arguments, "--set", "gateway.queue.size=")
    until(lambda: _is_available(cluster.api, f"{RELEASE}-sidelight-gateway"), "the Deployment is back")
    return f"Refused before anything changes: “{_sentence(done.stderr)}”"


def two_releases(cluster: Cluster) -> str:
    """Two releases that judge the same service send its alerts twice; a scope ends that, and brings no second Watchdog."""
    arguments = (ROOT / "helm" / "sidelight", "--namespace", NAMESPACE, "--values")
    own: Object = {"dashboards": {"enabled": False}, "alerts": cluster.values()["alerts"]}
    cluster.helm.must("install", "second", *arguments, cluster.helm.values("second", own))
    until(lambda: _times(cluster, "HighErrorRate", "critical") == 2, "both releases fire", _ALERT_TIMEOUT)
    own["rules"] = {"scope": {"job": ["search"]}}
    cluster.helm.must("upgrade", "second", *arguments, cluster.helm.values("second", own))
    until(lambda: _times(cluster, "HighErrorRate", "critical") == 1, "only one release fires", _ALERT_TIMEOUT)
    check(_owners(cluster) == {_OWNER, f"{NAMESPACE}/second-sidelight"}, "the second release has no rules")
    until(lambda: _times(cluster, "Watchdog", "none") == 1, "there is one Watchdog", _ALERT_TIMEOUT)
    cluster.helm.must("uninstall", "second", "--namespace", NAMESPACE)
    return "Without a scope both fire for the shop; once the second has `rules.scope`, HighErrorRate and Watchdog come once."


def uninstallation(cluster: Cluster) -> str:
    """Nothing of the release is left, and Prometheus drops its rules."""
    objects = cluster.objects()
    cluster.helm.must("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")
    left = [one["metadata"]["name"] for one in objects if cluster.api.get(path_of(one, NAMESPACE))]
    check(not left, f"left: {', '.join(left)}")
    until(lambda: not _owners(cluster), "Prometheus drops the rules", 120.0)
    return f"All {len(objects)} objects are gone, and Prometheus has dropped the rules."


STEPS: dict[str, Callable[[Cluster], str]] = {
    "A pod that is not restricted": the_restricted_standard_is_enforced,
    "`helm install` into a namespace that enforces `restricted`": installation,
    "Rules through the Prometheus Operator": the_operator_loads_the_rules,
    "The example's chart with the sidecar, `restricted` too": the_shop_is_scraped,
    "`helm test`": helm_test,
    "Half of the shop's requests fail": an_alert_arrives,
    "`helm upgrade` without changes": an_upgrade_without_changes_changes_nothing,
    "`helm upgrade` with a new threshold, `helm rollback`": an_upgrade_and_a_rollback,
    "A larger `gateway.queue.size`": a_larger_queue_is_refused,
    "Two releases": two_releases,
    "`helm uninstall`": uninstallation,
}


@contextmanager
def shop(helm: Helm, api: Api, folder: Path) -> Iterator[None]:
    """Install the example's chart, run the service at the address of each pod, and send requests of which half fail."""
    charts = folder / "charts"
    shutil.copytree(ROOT / "examples" / "chart", charts / "examples" / "chart")
    shutil.copytree(ROOT / "helm" / "sidelight-sidecar", charts / "helm" / "sidelight-sidecar")
    namespace(api, SHOP)
    chart = charts / "examples" / "chart"
    helm.must("dependency", "build", chart)
    helm.must("install", SHOP, chart, "--namespace", SHOP)
    addresses = until(lambda: _addresses(api, SHOP), "the shop's pods have addresses")
    environ = {"SHOP_FAULTS": "1", "OTEL_SERVICE_NAME": SHOP}
    with _all_started([(f"{address}:8000", environ) for address in addresses], folder):
        for address in addresses:
            httpx.put(f"http://{address}:8000/faults", json={"error_ratio": 0.5}, trust_env=False).raise_for_status()
        with _requests([f"http://{address}:8000/catalog/items" for address in addresses]):
            yield


@contextmanager
def _all_started(servers: list[tuple[str, dict[str, str]]], folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        for number, (address, environ) in enumerate(servers):
            host, _, port = address.partition(":")
            command = (sys.executable, "-m", "uvicorn", "examples.shop.main:app", "--host", host, "--port", port)
            ready = f"http://{address}/metrics"
            stack.enter_context(start(command, log=folder / f"shop-{number}.log", ready=ready, env=environ, cwd=ROOT))
        yield


@contextmanager
def _requests(urls: list[str]) -> Iterator[None]:
    ended = Event()

    def send() -> None:
        with httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)) as http:
            while not ended.wait(0.1):
                for url in urls:
                    with suppress(httpx.TransportError):  # the alert counts what the service counts
                        http.get(url)

    thread = Thread(target=send, name="requests", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10.0)


def _addresses(api: Api, inside: str) -> list[str]:
    pods = api.items(f"/api/v1/namespaces/{inside}/pods")
    found = [reachable(one["status"].get("podIP", "")) for one in pods]
    return found if len(found) == 2 and all(found) else []


def _is_available(api: Api, name: str) -> bool:
    found = api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}") or {}
    return any(
        one["type"] == "Available" and one["status"] == "True" for one in found.get("status", {}).get("conditions", [])
    )


def _healthy(cluster: Cluster, wanted: set[str]) -> list[Object]:
    rules = cluster.monitoring.rules()
    found = {rule["group"] for rule in rules}
    if not wanted <= found or any(rule["health"] == "unknown" for rule in rules):
        return []
    wrong = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    check(not wrong, "; ".join(wrong))
    return rules


def _tested(cluster: Cluster) -> str:
    cluster.monitoring.sync()
    done = cluster.helm.run("test", RELEASE, "--namespace", NAMESPACE)
    output = cluster.nodes.outputs.get(f"{RELEASE}-sidelight-test", "")
    return output if done.returncode == 0 else ""


def _versions(cluster: Cluster) -> dict[str, str]:
    found = {path: cluster.api.get(path) or {} for path in (path_of(one, NAMESPACE) for one in cluster.objects())}
    return {
        path: str(one["metadata"].get("generation", one["metadata"]["resourceVersion"])) for path, one in found.items()
    }


def _content(one: Object) -> str:
    metadata = {key: value for key, value in one["metadata"].items() if key not in {"managedFields", "resourceVersion"}}
    return json.dumps(
        {**{key: value for key, value in one.items() if key != "status"}, "metadata": metadata}, sort_keys=True
    )


def _threshold(cluster: Cluster) -> str:
    found = [rule for rule in cluster.monitoring.rules() if rule["name"] == "HighErrorRate"]
    return "; ".join(sorted(rule["query"] for rule in found if rule["labels"]["severity"] == "critical"))


def _owners(cluster: Cluster) -> set[str]:
    return {rule["labels"]["sidelight"] for rule in cluster.monitoring.rules() if "sidelight" in rule.get("labels", {})}


def _times(cluster: Cluster, name: str, severity: str) -> int:
    return len(cluster.monitoring.firing(alertname=name, severity=severity))


def _sentence(stderr: str) -> str:
    return stderr.strip().splitlines()[-1].rpartition("fail: ")[2].strip()
