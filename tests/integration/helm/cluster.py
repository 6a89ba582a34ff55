"""The part of a Kubernetes API server that Helm queries while rendering: the available kinds, and single objects."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import yaml

from sidelight.toolchain.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OF_KUBERNETES = ("v1/ConfigMap", "v1/Secret", "v1/Service", "v1/ServiceAccount", "apps/v1/StatefulSet",
                 "apps/v1/Deployment", "policy/v1/PodDisruptionBudget", "networking.k8s.io/v1/NetworkPolicy")  # fmt: skip
OF_THE_OPERATOR = ("monitoring.coreos.com/v1/PrometheusRule", "monitoring.coreos.com/v1/PodMonitor",
                   "monitoring.coreos.com/v1alpha1/AlertmanagerConfig")  # fmt: skip


def _plural(kind: str) -> str:
    return f"{kind.lower().removesuffix('y')}{'ies' if kind.endswith('y') else 's'}"


def _discovery(kinds: tuple[str, ...]) -> dict[str, Any]:
    versions: dict[str, list[str]] = {}
    for name in kinds:
        version, _, kind = name.rpartition("/")
        versions.setdefault(version, []).append(kind)
    answers: dict[str, Any] = {
        f"/{'api' if version == 'v1' else 'apis'}/{version}": {
            "kind": "APIResourceList",
            "groupVersion": version,
            "resources": [
                {"name": _plural(kind), "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"]}
                for kind in kinds
            ],
        }
        for version, kinds in versions.items()
    }
    groups: dict[str, list[dict[str, str]]] = {}
    for version in versions:
        if version != "v1":
            group, _, number = version.partition("/")
            groups.setdefault(group, []).append({"groupVersion": version, "version": number})
    listed = [{"name": name, "versions": found, "preferredVersion": found[0]} for name, found in groups.items()]
    return {
        **answers,
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.4"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed},
    }


@contextmanager
def cluster(folder: Path, *objects: Mapping[str, Any], operator: bool = True) -> Iterator[str]:
    """The argument that leads Helm to a cluster with these objects, with or without the Prometheus Operator's kinds."""
    answers = _discovery(OF_KUBERNETES + (OF_THE_OPERATOR if operator else ()))
    for one in objects:
        version, name, namespace = one["apiVersion"], one["metadata"]["name"], one["metadata"]["namespace"]
        prefix = "api" if version == "v1" else "apis"
        answers[f"/{prefix}/{version}/namespaces/{namespace}/{_plural(one['kind'])}/{name}"] = one

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            missing = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(missing if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silence: the test's output is for the test."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "own",
            "clusters": [{"name": "own", "cluster": {"server": f"http://{LOOPBACK}:{server.server_port}"}}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
            "users": [{"name": "own", "user": {}}],
        }
        file = folder / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        try:
            yield f"--kubeconfig={file}"
        finally:
            server.shutdown()
            thread.join()
