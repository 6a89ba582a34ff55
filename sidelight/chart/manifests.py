"""Plain manifests: the chart's objects as Helm renders them, a file for each, with a kustomization."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from alerts.model import to_yaml
from instrumentation.errors import SidelightError
from sidelight.toolchain import run_command, tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = "manifests"
RELEASE = "sidelight"
_SECONDS = 60.0  # time limit of Helm
_MANAGER = "app.kubernetes.io/managed-by"


def manifests(chart: Mapping[str, str], namespace: str, values: Sequence[Path]) -> dict[str, str]:
    """Path to text: an object in each file, and ``kustomization.yaml``, which lists them.

    The objects are those of ``helm template``, without the pod of ``helm test``.

    Args:
        chart: The chart's files, by path below its folder.
        namespace: The namespace of the objects.
        values: Files with values of the chart; later ones take precedence.

    Raises:
        SidelightError: ``values_unreadable``, or ``manifests_refused`` if the chart refuses the values.
        ToolError: Helm cannot be had.
    """
    for file in values:
        if not file.is_file():
            raise SidelightError(f"--values: got {file}, which is not a file.", code="values_unreadable")
    with tempfile.TemporaryDirectory() as work:
        source, rendered = Path(work, "chart"), Path(work, "rendered")
        for path, text in chart.items():
            target = source / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
        given = [word for file in values for word in ("--values", str(file.resolve()))]
        options = ["--namespace", namespace, "--skip-tests", "--output-dir", str(rendered), *given]
        done = run_command(
            [str(tool("helm")), "template", RELEASE, str(source), *options],
            timeout=_SECONDS,
            cwd=None,
            environ=os.environ,
        )
        if done.status:
            raise SidelightError(f"build manifests: {_reason(done.output)}", code="manifests_refused")
        texts = [file.read_text("utf-8") for file in sorted(rendered.rglob("*.yaml"))]
    objects = [one for text in texts for one in yaml.safe_load_all(text) if one]
    files = {_file(one): to_yaml(_plain(one)) for one in objects}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": sorted(files),
    }
    return {f"{FOLDER}/{name}": text for name, text in files.items()} | {
        f"{FOLDER}/kustomization.yaml": to_yaml(kustomization)
    }


def _reason(output: str) -> str:
    r"""What Helm says, without the place in a template and its advice about templates.

    >>> _reason("Error: execution error at (sidelight/templates/a.yaml:6:4): a.b: got none.\n\nUse --debug flag to render")
    'a.b: got none.'
    """
    text = output.partition("\n\nUse --debug")[0].strip().removeprefix("Error: ")
    return re.sub(r"execution error at \([^)]*\): ", "", text)


def _file(one: Mapping[str, Any]) -> str:
    return f"{one['kind'].lower()}-{one['metadata']['name']}.yaml"


def _plain(one: dict[str, Any]) -> dict[str, Any]:
    """The object without the label that says that Helm manages it."""
    one["metadata"].get("labels", {}).pop(_MANAGER, None)
    return one
