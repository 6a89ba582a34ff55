"""Plays the scheduler and the kubelet: pods get a node, an address and a status, and some of them run.

Each pod has an address in 10.244.0.0/24, since Kubernetes refuses endpoints on loopback, and its server listens on the
loopback address that ``reachable`` gives, with the container's real port. Nothing here pulls images or starts containers:
the story starts the shop, Prometheus and Alertmanager, and the script of ``helm test`` runs as a process of this machine.
"""

from __future__ import annotations

import itertools
import re
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING

from tests.cluster.api import RefusedError, connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.api import Api, Credentials, Object

NODE = "node-1"
_PODS, _LOOPBACK = "10.244.0.", "127.244.0."
_PERIOD = 0.3  # seconds
_SCRIPT_TIMEOUT = 120.0  # seconds


@dataclass
class Nodes:
    """One node.

    Attributes:
        outputs: What the scripts of tests printed, by the pod's name.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    _addresses: Iterator[str] = field(default_factory=lambda: map(f"{_PODS}{{}}".format, itertools.count(1)))
    _given: dict[str, str] = field(default_factory=dict)

    def play(self, api: Api) -> None:
        """Bring every pod one step further."""
        for pod in api.items("/api/v1/pods"):
            with suppress(RefusedError):  # it was deleted, or changed, in the meantime; the next round sees that
                self._step(api, pod)

    def _step(self, api: Api, pod: Object) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if metadata.get("deletionTimestamp"):
            api.delete(path)
        elif not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": metadata["name"]}, "target": target}
            api.create(f"{path}/binding", binding)
        elif pod["status"].get("phase") == "Pending":
            api.set_status(path, _running(pod, self._address(metadata["uid"])))
        elif _is_test(pod) and pod["status"]["phase"] == "Running":
            api.set_status(path, {**pod["status"], "phase": self._run(pod)})

    def _address(self, uid: str) -> str:
        return self._given.setdefault(uid, next(self._addresses))

    def _run(self, pod: Object) -> str:
        """Run the script of the only container; returns the phase in which the pod ends."""
        (container,) = pod["spec"]["containers"]
        environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            **{one["name"]: one.get("value", "") for one in container["env"]},
        }
        done = subprocess.run(
            container["command"], env=environ, capture_output=True, text=True, timeout=_SCRIPT_TIMEOUT, check=False
        )
        self.outputs[pod["metadata"]["name"]] = done.stdout + done.stderr
        return "Failed" if done.returncode else "Succeeded"


@contextmanager
def nodes(access: Credentials) -> Iterator[Nodes]:
    """A node that plays every pod until the context ends."""
    played, ended = Nodes(), Event()
    with connected(access) as api:
        api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        api.set_status(f"/api/v1/nodes/{NODE}", {"conditions": [_condition("Ready")]})

        def play() -> None:
            while not ended.wait(_PERIOD):
                played.play(api)

        thread = Thread(target=play, name="nodes", daemon=True)
        thread.start()
        try:
            yield played
        finally:
            ended.set()
            thread.join(_SCRIPT_TIMEOUT)


def reachable(address: str) -> str:
    """The loopback address of a pod's address: what a network of pods would do."""
    return address.replace(_PODS, _LOOPBACK)


# The same, for addresses that Prometheus discovers.
ROUTE = {
    "action": "replace",
    "source_labels": ["__address__"],
    "regex": f"{re.escape(_PODS)}(.+)",
    "target_label": "__address__",
    "replacement": f"{_LOOPBACK}$1",
}


def _is_test(pod: Object) -> bool:
    annotations: dict[str, str] = pod["metadata"].get("annotations", {})
    return annotations.get("helm.sh/hook") == "test"


def _running(pod: Object, address: str) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def statuses(containers: str) -> list[Object]:
        return [
            {
                "name": one["name"],
                "image": one["image"],
                "imageID": "",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for one in pod["spec"].get(containers, [])
        ]

    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
        "conditions": [_condition(each) for each in ("PodScheduled", "Initialized", "ContainersReady", "Ready")],
        "containerStatuses": statuses("containers"),
        "initContainerStatuses": statuses("initContainers"),
    }


def _condition(name: str) -> Object:
    return {"type": name, "status": "True", "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
