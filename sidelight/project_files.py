"""``sidelight init``: writes the first files of a team's repository, filled in with what can be found in it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from instrumentation.errors import SidelightError
from instrumentation.settings import load_settings
from instrumentation.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GENERATED = "observability"  # the folder written by `make observability`


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is known about a repository.

    Attributes:
        name: The service's name.
        version: Its version; empty if it is only known at build time.
        gitlab: Whether it uses GitLab's pipelines; otherwise GitHub's.
    """

    name: str
    version: str
    gitlab: bool


@dataclass(frozen=True, kw_only=True)
class Made:
    """What happened to a file: ``written``, or ``kept`` because it existed."""

    path: str
    verdict: str


def init(folder: Path) -> list[Made]:
    """Write the files that do not exist; existing files are not changed.

    Raises:
        SidelightError: ``project_unreadable``, ``output_unwritable``.
        SettingsError: The name or the version found is not valid for ``service``.
    """
    project = found(folder)
    files = {path: text(project) for path, text in _files(project).items()}
    try:
        return [_put(folder, path, text) for path, text in files.items()]
    except OSError as error:
        raise SidelightError(
            f"{error.filename}: cannot be written ({error.strerror}); run `sidelight init` in a folder that you can write to.",
            code="output_unwritable",
        ) from None


def found(folder: Path) -> Project:
    """Read ``pyproject.toml`` (PEP 621 or Poetry); without it, the service is named after the folder.

    Raises:
        SidelightError: ``project_unreadable``.
    """
    path = folder / "pyproject.toml"
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise SidelightError(f"{path}: cannot be read ({error}).", code="project_unreadable") from None
    project, poetry = data.get("project", {}), data.get("tool", {}).get("poetry", {})
    return Project(
        name=str(project.get("name") or poetry.get("name") or folder.resolve().name),
        version=str(project.get("version") or poetry.get("version") or ""),
        gitlab=(folder / ".gitlab-ci.yml").exists() and not (folder / ".github").exists(),
    )


def _files(project: Project) -> dict[str, Callable[[Project], str]]:
    pipeline = ".gitlab/sidelight.yml" if project.gitlab else ".github/workflows/sidelight.yml"
    return {
        "sidelight.yaml": _settings,
        "sidelight.mk": lambda _: MAKE,
        pipeline: lambda _: GITLAB if project.gitlab else GITHUB,
        "sidelight-values.yaml": lambda _: VALUES,
    }


def _put(folder: Path, path: str, text: str) -> Made:
    target = folder / path
    if target.exists():
        return Made(path=path, verdict="kept")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    temporary.write_text(text, "utf-8")
    if path == "sidelight.yaml":
        try:
            load_settings(temporary)
        except SidelightError:
            temporary.unlink()
            raise
    temporary.rename(target)
    return Made(path=path, verdict="written")


def _settings(project: Project) -> str:
    version = f"  version: {json.dumps(project.version)}\n" if project.version else ""
    return f"""\
# Sidelight's settings, read by services, rules, dashboards, collector and chart. Every key is optional; `sidelight check`
# validates them.
service:
  name: {json.dumps(project.name)}
{version}  # environment: production    # OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=... takes precedence

thresholds:
  error_ratio: {{warning: 0.01, critical: 0.05}}
  latency_p95_seconds: {{warning: 0.5, critical: 1.0}}

# alerting:
#   runbook_url: https://wiki.example/runbooks/{{alert}}
#   receivers: {{default: {{slack: {{channel: "#{project.name}", api_url_file: /etc/alertmanager/slack}}}}}}
# slo: {{availability: 0.999, latency: {{ratio: 0.99, seconds: 0.5}}}}
# budget: {{daily_usd: 20}}
# tracing: {{endpoint: "http://localhost:4318"}}
"""


MAKE = f"""\
# Include this in your Makefile:  include sidelight.mk
# Requires sidelight-stack {__version__} or newer: pip install sidelight-stack
SIDELIGHT ?= sidelight

.PHONY: observability observability-check dashboards

observability: ## Generate rules, dashboards, collector and chart into {GENERATED}/.
	$(SIDELIGHT) build --output {GENERATED}

observability-check: observability ## Check the settings and all generated files.
	$(SIDELIGHT) check
	$(SIDELIGHT) check {GENERATED}

dashboards: ## Publish the dashboards to GRAFANA_URL.
	$(SIDELIGHT) publish
"""

GITHUB = f"""\
# Checks that rules, dashboards and chart are up to date with sidelight.yaml and have no faults.
name: sidelight
on:
  pull_request:
  push: {{branches: [main]}}
permissions: {{contents: read, security-events: write}}
jobs:
  observability:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.13"}}
      - run: pip install 'sidelight-stack>={__version__}'
      - run: make -f sidelight.mk observability
      - name: Generated files are up to date
        run: git diff --exit-code -- {GENERATED}
      - run: sidelight check --format sarif {GENERATED} > sidelight.sarif
      - uses: github/codeql-action/upload-sarif@v3
        if: always()
        with: {{sarif_file: sidelight.sarif}}
"""

GITLAB = f"""\
# Checks that rules, dashboards and chart are up to date with sidelight.yaml and have no faults.
# Include it in .gitlab-ci.yml:  include: {{local: .gitlab/sidelight.yml}}
sidelight:
  image: docker.io/library/python:3.13
  timeout: 10 minutes
  script:
    - pip install 'sidelight-stack>={__version__}'
    - make -f sidelight.mk observability-check
    - git diff --exit-code -- {GENERATED}
"""

VALUES = f"""\
# Values for the chart written by `make observability`:
#   helm upgrade --install observability {GENERATED}/helm/sidelight --namespace monitoring --values sidelight-values.yaml
# {GENERATED}/helm/sidelight/README.md lists all of them. Set here what differs between clusters; thresholds are set in
# sidelight.yaml.

# kube-prometheus-stack selects only objects labelled with its own release:
#   kubectl get prometheus --all-namespaces --output jsonpath='{{.items[*].spec.ruleSelector}}'
commonLabels: {{}}
#   release: kube-prometheus-stack

podMonitor:
  enabled: false
  # selector: {{matchLabels: {{app.kubernetes.io/part-of: shop}}}}

# Scrapes the collectors' own metrics, which their alerts need.
collectorMonitor:
  enabled: false
  # namespaceSelector: {{any: true}}
"""
