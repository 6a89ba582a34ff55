"""Starts etcd, the API server, the controller manager and the Prometheus Operator on loopback."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import httpx
import yaml

from sidelight.toolchain.processes import LOOPBACK, free_port, start
from sidelight.toolchain.toolbox import tool
from tests.cluster.api import Credentials, RefusedError, connected, path_of, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.api import Api

_SERVICES = "10.43.0.0/24"  # addresses of Services, which nothing here uses
_SUBJECT_ALTERNATIVES = f"subjectAltName=IP:{LOOPBACK},IP:10.43.0.1,DNS:kubernetes,DNS:localhost"
_READY = 120.0  # seconds


@contextmanager
def control_plane(folder: Path) -> Iterator[Credentials]:
    """Run etcd, the API server and the controller manager until the context ends.

    There is no scheduler and no kubelet: see ``nodes``.

    Args:
        folder: For data, certificates and logs.

    Raises:
        ProcessError: One of them does not start.
        ToolError: One of them is not available.
    """
    certificates = folder / "certificates"
    _write_certificates(certificates)
    port = free_port()
    access = Credentials(
        url=f"https://{LOOPBACK}:{port}",
        ca=certificates / "ca.crt",
        certificate=certificates / "admin.crt",
        key=certificates / "admin.key",
        kubeconfig=folder / "kubeconfig",
    )
    access.kubeconfig.write_text(_kubeconfig(access))
    with ExitStack() as stack:
        etcd = stack.enter_context(_etcd(folder))
        server = (
            tool("kube-apiserver"),
            f"--etcd-servers={etcd}",
            f"--bind-address={LOOPBACK}",
            f"--advertise-address={LOOPBACK}",
            f"--secure-port={port}",
            f"--client-ca-file={access.ca}",
            f"--tls-cert-file={certificates / 'server.crt'}",
            f"--tls-private-key-file={certificates / 'server.key'}",
            f"--service-account-key-file={certificates / 'server.key'}",
            f"--service-account-signing-key-file={certificates / 'server.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={_SERVICES}",
            "--endpoint-reconciler-type=none",  # it refuses a loopback address
            "--authorization-mode=RBAC",
        )
        stack.enter_context(start(server, log=folder / "kube-apiserver.log"))
        with connected(access) as api:
            until(lambda: _is_ready(api), "the API server answers", _READY)
        manager = (
            tool("kube-controller-manager"),
            f"--kubeconfig={access.kubeconfig}",
            f"--service-account-private-key-file={certificates / 'server.key'}",
            f"--root-ca-file={access.ca}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={free_port()}",
            "--leader-elect=false",
            "--controllers=*,-node-lifecycle-controller",  # nothing renews the lease of the played node
            "--use-service-account-credentials=false",
        )
        stack.enter_context(start(manager, log=folder / "kube-controller-manager.log"))
        yield access


@contextmanager
def operator(access: Credentials, folder: Path) -> Iterator[None]:
    """Install the operator's kinds and run it until the context ends.

    Raises:
        ProcessError: It does not start.
        ToolError: It is not available.
    """
    program = tool("prometheus-operator")
    with connected(access) as api:
        for path in sorted((program.parents[1] / "share").glob("*.yaml")):
            text = path.read_text()
            document = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - only strings; safe_load refuses the enum value "="
            api.apply_text(path_of(document), text)
            spec = document["spec"]
            served = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
            until(partial(api.get, served), f"{served} is served")
    command = (
        program,
        f"--apiserver={access.url}",
        f"--ca-file={access.ca}",
        f"--cert-file={access.certificate}",
        f"--key-file={access.key}",
        f"--web.listen-address={LOOPBACK}:{free_port()}",
    )
    with start(command, log=folder / "operator.log"):
        yield


@contextmanager
def _etcd(folder: Path) -> Iterator[str]:
    client, peer = (f"http://{LOOPBACK}:{free_port()}" for _ in range(2))
    command = (
        tool("etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    )
    with start(command, log=folder / "etcd.log", ready=f"{client}/health"):
        yield client


def _is_ready(api: Api) -> bool:
    try:
        return bool(api.http.get("/readyz").is_success and api.get("/api/v1/namespaces/kube-system"))
    except (httpx.TransportError, RefusedError):
        return False


def _write_certificates(folder: Path) -> None:
    """A certificate authority, the server's certificate, and an administrator's."""
    folder.mkdir(parents=True)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=cluster",
            "-keyout", "ca.key", "-out", "ca.crt")  # fmt: skip
    for name, subject in (("server", "/CN=kube-apiserver"), ("admin", "/O=system:masters/CN=admin")):
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr"
        )
        (folder / "extensions").write_text(_SUBJECT_ALTERNATIVES)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "extensions", "-out", f"{name}.crt")  # fmt: skip


def _kubeconfig(access: Credentials) -> str:
    cluster = {"server": access.url, "certificate-authority": str(access.ca)}
    user = {"client-certificate": str(access.certificate), "client-key": str(access.key)}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
            "current-context": "here",
        }
    )
