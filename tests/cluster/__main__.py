"""``python -m tests.cluster``: see ``make cluster``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from instrumentation.version import __version__
from sidelight.demo.webhook import listening
from sidelight.toolchain.releases import RELEASES
from tests.cluster.api import NeverError, connected
from tests.cluster.control_plane import control_plane, operator
from tests.cluster.monitoring import monitoring
from tests.cluster.nodes import nodes
from tests.cluster.story import ROOT, STEPS, Cluster, Helm, WrongError, shop, without_the_operators_kinds
from tests.support.console import say

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = ROOT / "docs" / "reference" / "cluster.md"
TOOLS = ("kubernetes", "etcd", "prometheus-operator", "prometheus-kubernetes", "alertmanager", "helm")

Row = tuple[str, str, float]


def main() -> int:
    """Run the story in a new cluster, print each step, and write the page.

    Returns:
        1 if a step shows something wrong; the page then stays as it is, and the logs are kept.
    """
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    keeps = parser.parse_args().keep
    folder = Path(tempfile.mkdtemp(prefix="sidelight-cluster-"))
    rows: list[Row] = []
    try:
        _run(folder, rows)
    except (WrongError, NeverError) as error:
        say(f"WRONG: {error}\nThe logs are in {folder}.")
        return 1
    PAGE.write_text(_page(rows), "utf-8")
    say(f"Wrote {PAGE.relative_to(ROOT)}.")
    if keeps:
        say(f"The logs are in {folder}.")
    else:
        shutil.rmtree(folder)
    return 0


def _run(folder: Path, rows: list[Row]) -> None:
    def step(name: str, run: Callable[[], str]) -> None:
        say(f"{name} ...")
        began = time.monotonic()
        seen = run()
        rows.append((name, seen, time.monotonic() - began))
        say(f"  {seen} ({rows[-1][2]:.0f} s)")

    with ExitStack() as stack:
        access = stack.enter_context(control_plane(folder))
        api = stack.enter_context(connected(access))
        helm = Helm(folder=folder, access=access)
        step("`helm install` without the Prometheus Operator", lambda: without_the_operators_kinds(helm, api))
        stack.enter_context(operator(access, folder))
        played = stack.enter_context(nodes(access))
        servers = stack.enter_context(monitoring(access, api, folder))
        webhook = stack.enter_context(listening(time.monotonic))
        stack.enter_context(shop(helm, api, folder))
        cluster = Cluster(api=api, helm=helm, nodes=played, folder=folder, monitoring=servers, webhook=webhook)
        for name, run in STEPS.items():
            step(name, partial(run, cluster))


def _page(rows: list[Row]) -> str:
    versions = {release.name: release.version for release in RELEASES}
    table = "\n".join(f"| {name} | {_cell(seen)} | {seconds:.0f} |" for name, seen, seconds in rows)
    return f"""\
# The charts in a cluster

<!-- Written by `make cluster`; change tests/cluster, not this page. -->

`make cluster` starts a control plane of Kubernetes and the Prometheus Operator on loopback, installs the charts there, and checks what
happens. It last ran on {datetime.now(UTC).date()} with Sidelight {__version__}, on {os.cpu_count()} cores.

| program | version |
| --- | --- |
| kube-apiserver, kube-controller-manager | {versions["kubernetes"]} |
| etcd | {versions["etcd"]} |
| Prometheus Operator | {versions["prometheus-operator"]} |
| Prometheus, with discovery of Kubernetes | {versions["prometheus-kubernetes"]} |
| Alertmanager | {versions["alertmanager"]} |
| Helm | {versions["helm"]} |

| tried | seen | seconds |
| --- | --- | --- |
{table}

What is real: the API server with its admission plugins, the controllers that create pods and endpoints, the operator and the configuration
that it writes, discovery, the scrapes, the alerts and their delivery.

What is played: there is no kubelet, no network of pods and no container engine. A thread gives each pod a node, an address and the status
*ready*; a relabeling rule leads Prometheus from that address to a loopback address, because Kubernetes refuses endpoints on loopback. Prometheus, Alertmanager and the shop run as processes at the addresses of their pods, and the script of `helm test` runs as a process of
the machine. The containers of the collector do not run here; [the collector's tests](collector-faults.md) run it.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", " ").split())


if __name__ == "__main__":
    sys.exit(main())
