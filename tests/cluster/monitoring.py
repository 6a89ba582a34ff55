"""Runs Prometheus and Alertmanager with the configuration that the operator writes for its pods."""

from __future__ import annotations

import base64
import gzip
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from sidelight.toolchain.processes import start
from sidelight.toolchain.toolbox import tool
from tests.cluster.api import until
from tests.cluster.nodes import ROUTE, reachable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.api import Api, Credentials, Object

NAMESPACE = "monitoring"
NAME = "main"
_MOUNTED = "/etc/prometheus"
_ENVIRONMENT = {"SHARD": "0", "POD_NAME": f"prometheus-{NAME}-0"}  # of the configuration reloader in the pod
_RESTRICTED = {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 2000, "seccompProfile": {"type": "RuntimeDefault"}}
_LABELS = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True, kw_only=True)
class Server:
    """Prometheus or Alertmanager at the address of its pod.

    Attributes:
        url: Its address.
        http: A client for it.
    """

    url: str
    http: httpx.Client

    def get(self, path: str, **parameters: str) -> Any:
        """The body of an answer; None while the server cannot be reached."""
        try:
            return self.http.get(f"{self.url}{path}", params=parameters).raise_for_status().json()
        except httpx.TransportError:
            return None

    def reload(self) -> None:
        """Read the configuration again.

        Raises:
            HTTPStatusError: The server refuses it.
        """
        self.http.post(f"{self.url}/-/reload").raise_for_status()


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """Both servers, and what the operator wrote for them.

    Attributes:
        prometheus: Prometheus.
        alertmanager: Alertmanager.
    """

    prometheus: Server
    alertmanager: Server
    _api: Api
    _folder: Path

    def sync(self) -> bool:
        """Plays the configuration reloader of both pods: bring what the operator changed; always true."""
        if _write_prometheus(self._api, self._folder):
            self.prometheus.reload()
        if _write_alertmanager(self._api, self._folder):
            self.alertmanager.reload()
        return True

    def rules(self) -> list[Object]:
        """The rules that Prometheus has loaded, with their groups' names."""
        answer = self.sync() and self.prometheus.get("/api/v1/rules")
        groups = answer["data"]["groups"] if answer else []
        return [{**rule, "group": group["name"]} for group in groups for rule in group["rules"]]

    def up(self, job: str) -> int:
        """How many targets of a job Prometheus scrapes with success."""
        answer = self.sync() and self.prometheus.get("/api/v1/targets", state="active")
        targets = answer["data"]["activeTargets"] if answer else []
        return sum(one["labels"]["job"] == job and one["health"] == "up" for one in targets)

    def firing(self, **labels: str) -> list[Object]:
        """The alerts that Alertmanager has with these labels."""
        answer = self.sync() and self.alertmanager.get("/api/v2/alerts")
        return [one for one in answer or [] if labels.items() <= one["labels"].items()]


@contextmanager
def monitoring(access: Credentials, api: Api, folder: Path) -> Iterator[Monitoring]:
    """Create a Prometheus and an Alertmanager of the operator, and run both until the context ends."""
    namespace(api, NAMESPACE)
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAMESPACE}})
    for document in (_prometheus(access), _alertmanager()):
        api.apply(document)
    addresses = [
        until(partial(_address, api, pod), f"the pod {pod} has an address")
        for pod in (f"prometheus-{NAME}-0", f"alertmanager-{NAME}-0")
    ]
    until(lambda: _write_prometheus(api, folder), "the operator writes Prometheus' configuration")
    until(lambda: _write_alertmanager(api, folder), "the operator writes Alertmanager's configuration")
    urls = f"http://{addresses[0]}:9090", f"http://{addresses[1]}:9093"
    prometheus = (
        tool("prometheus-kubernetes"),
        f"--config.file={folder / 'prometheus' / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'prometheus' / 'data'}",
        f"--web.listen-address={addresses[0]}:9090",
        "--web.enable-lifecycle",
    )
    alertmanager = (
        tool("alertmanager"),
        f"--config.file={folder / 'alertmanager' / 'alertmanager.yaml'}",
        f"--storage.path={folder / 'alertmanager' / 'data'}",
        f"--web.listen-address={addresses[1]}:9093",
        "--cluster.listen-address=",
    )
    with (
        httpx.Client(trust_env=False, timeout=10.0) as http,
        start(prometheus, log=folder / "prometheus.log", ready=f"{urls[0]}/-/ready"),
        start(alertmanager, log=folder / "alertmanager.log", ready=f"{urls[1]}/-/ready"),
    ):
        first, second = (Server(url=url, http=http) for url in urls)
        yield Monitoring(prometheus=first, alertmanager=second, _api=api, _folder=folder)


def namespace(api: Api, name: str) -> None:
    """Create a namespace in which every pod must meet the restricted standard."""
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": _LABELS}})


def _address(api: Api, pod: str) -> str:
    found = api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}") or {}
    return reachable(found.get("status", {}).get("podIP", ""))


def _prometheus(access: Credentials) -> Object:
    everything: Object = {}
    files = {"caFile": str(access.ca), "certFile": str(access.certificate), "keyFile": str(access.key)}
    return _server(
        "Prometheus",
        version="v3.5.0",
        serviceAccountName=NAME,
        ruleSelector=everything,
        ruleNamespaceSelector=everything,
        podMonitorSelector=everything,
        podMonitorNamespaceSelector=everything,
        apiserverConfig={"host": access.url, "tlsConfig": files},
        alerting={"alertmanagers": [{"namespace": NAMESPACE, "name": "alertmanager-operated", "port": "web"}]},
    )


def _alertmanager() -> Object:
    return _server("Alertmanager", alertmanagerConfigSelector={}, alertmanagerConfigNamespaceSelector={})


def _server(kind: str, **spec: Any) -> Object:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": kind,
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"replicas": 1, "securityContext": _RESTRICTED, **spec},
    }


def _write_prometheus(api: Api, folder: Path) -> bool:
    secret = api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/prometheus-{NAME}")
    maps = [
        one
        for one in api.items(f"/api/v1/namespaces/{NAMESPACE}/configmaps")
        if one["metadata"]["name"].startswith(f"prometheus-{NAME}-rulefiles")
    ]
    if not secret or "prometheus.yaml.gz" not in secret.get("data", {}) or not maps:
        return False
    root = folder / "prometheus"
    text = _unpacked(secret, "prometheus.yaml.gz").replace(_MOUNTED, str(root))
    for variable, value in _ENVIRONMENT.items():
        text = text.replace(f"$({variable})", value)
    config = yaml.safe_load(text)
    for one in (*config.get("scrape_configs", []), *config.get("alerting", {}).get("alertmanagers", [])):
        one.setdefault("relabel_configs", []).append(ROUTE)
    wanted = {root / "prometheus.yaml": yaml.safe_dump(config)}
    for one in maps:
        rules = root / "rules" / one["metadata"]["name"]
        wanted |= {rules / name: text for name, text in one.get("data", {}).items()}
    changed = _write(wanted)
    for path in (root / "rules").glob("*/*"):
        if path not in wanted:
            path.unlink()
            changed = True
    return changed


def _write_alertmanager(api: Api, folder: Path) -> bool:
    secret = api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/alertmanager-{NAME}-generated")
    if not secret or "alertmanager.yaml.gz" not in secret.get("data", {}):
        return False
    return _write({folder / "alertmanager" / "alertmanager.yaml": _unpacked(secret, "alertmanager.yaml.gz")})


def _unpacked(secret: Object, key: str) -> str:
    return gzip.decompress(base64.b64decode(secret["data"][key])).decode()


def _write(wanted: dict[Path, str]) -> bool:
    changed = {path: text for path, text in wanted.items() if not path.exists() or path.read_text() != text}
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return bool(changed)
