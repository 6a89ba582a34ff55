"""``sidelight init``: writes the first files of a team's repository, filled in with what can be found in it."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from instrumentation.errors import SidelightError
from instrumentation.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GENERATED = "observability"  # the folder written by `make observability`
SOURCES = "sidelight.txt"  # the file that says where Sidelight is installed from
EXAMPLE = 'sidelight init --from "sidelight-stack==0.1.0" --index https://pypi.example/simple'
_NAME_ALONE = re.compile(r"[A-Za-z0-9][\w.-]*(\[[^]]*\])?")


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is known about a service and its repository.

    Attributes:
        name: The service's name.
        version: Its version; empty if it is only known at build time.
        gitlab: Whether the repository uses GitLab's pipelines; otherwise GitHub's.
        root: The root of the repository.
        within: The folder of the service in it, such as ``services/shop``; empty if it is the root.
        sources: The lines for pip that install Sidelight; empty if nobody said.
    """

    name: str
    version: str
    gitlab: bool
    root: Path
    within: str
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What happened to a file: ``written``, or ``kept`` because it existed."""

    path: str
    verdict: str


def init(folder: Path, sources: Sequence[str] = ()) -> list[Made]:
    """Write the files that do not exist; existing files are not changed.

    Args:
        folder: The folder of the service.
        sources: Lines of a requirements file that install Sidelight. By default, where the running Sidelight was installed from, if
            others can install it from there too.

    Raises:
        SidelightError: ``project_unreadable``, ``output_unwritable``, ``source_not_pinned``.
        SettingsError: The name or the version found is not valid for ``service``.
    """
    for line in sources:
        if not line.strip() or _NAME_ALONE.fullmatch(line):
            raise SidelightError(
                f"--from: got {line!r}, which anyone could register at an index; give a version, a path or a URL, such as "
                f"{line.strip() or 'sidelight-stack'}==0.1.0.",
                code="source_not_pinned",
            )
    project = found(folder, sources)
    files = {place: text(project) for place, text in _files(folder, project).items()}
    try:
        return [_put(place, text, folder) for place, text in files.items()]
    except OSError as error:
        raise SidelightError(
            f"{error.filename}: cannot be written ({error.strerror}); run `sidelight init` in a folder that you can write to.",
            code="output_unwritable",
        ) from None


def found(folder: Path, sources: Sequence[str] = ()) -> Project:
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
    here = folder.resolve()
    root = next((each for each in (here, *here.parents) if (each / ".git").exists()), here)
    return Project(
        name=str(project.get("name") or poetry.get("name") or here.name),
        version=str(project.get("version") or poetry.get("version") or ""),
        gitlab=(root / ".gitlab-ci.yml").exists() and not (root / ".github").exists(),
        root=root,
        within="" if here == root else here.relative_to(root).as_posix(),
        sources=tuple(sources) or _installed_from(here, root),
    )


def _installed_from(folder: Path, root: Path) -> tuple[str, ...]:
    """Where pip installed the running Sidelight from: URLs, and folders of the repository. Empty if others cannot use them."""
    try:
        found = [(name, distribution(name).read_text("direct_url.json")) for name in ("sidelight", "sidelight-stack")]
    except PackageNotFoundError:
        return ()
    lines = [text and _line(name, json.loads(text), folder, root) for name, text in found]
    return tuple(line for line in lines if line) if all(lines) else ()


def _line(name: str, direct: dict[str, Any], folder: Path, root: Path) -> str | None:
    """One line of a requirements file, from https://packaging.python.org/en/latest/specifications/direct-url/."""
    url, below = str(direct["url"]), direct.get("subdirectory")
    if vcs := direct.get("vcs_info"):
        return f"{name} @ {vcs['vcs']}+{url}@{vcs['commit_id']}" + (f"#subdirectory={below}" if below else "")
    if not url.startswith("file:"):
        hashes = direct.get("archive_info", {}).get("hashes", {})
        return f"{name} @ {url}" + (f"#sha256={hashes['sha256']}" if "sha256" in hashes else "")
    path = Path(unquote(urlsplit(url).path))
    if not path.is_relative_to(root):
        return None
    relative = os.path.relpath(path, folder)
    return relative if relative.startswith("..") else f"./{relative}"


def _files(folder: Path, project: Project) -> dict[Path, Callable[[Project], str]]:
    named = f"sidelight-{project.within.replace('/', '-')}.yml" if project.within else "sidelight.yml"
    pipeline = (Path(".gitlab") if project.gitlab else Path(".github", "workflows")) / named
    return {
        folder / "sidelight.yaml": _settings,
        folder / SOURCES: _sources,
        folder / "sidelight.mk": lambda _: MAKE,
        (project.root if project.within else folder) / pipeline: _gitlab if project.gitlab else _github,
        folder / "sidelight-values.yaml": lambda _: VALUES,
    }


def _put(target: Path, text: str, folder: Path) -> Made:
    shown = str(target.relative_to(folder)) if target.is_relative_to(folder) else str(target)
    if target.exists():
        return Made(path=shown, verdict="kept")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    temporary.write_text(text, "utf-8")
    if target.name == "sidelight.yaml":
        try:
            load_settings(temporary)
        except SidelightError:
            temporary.unlink()
            raise
    temporary.rename(target)
    return Made(path=shown, verdict="written")


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


def _sources(project: Project) -> str:
    lines = project.sources or (
        "# Nothing is named yet, so `sidelight` must be on PATH, in CI too. For example:",
        "# --index-url https://pypi.example/simple",
        "# sidelight-stack==0.1.0",
    )
    return (
        "# Where Sidelight is installed from, for `make` and for CI: lines of a requirements file.\n"
        + "\n".join(lines)
        + "\n"
    )


MAKE = f"""\
# Include this in your Makefile:  include sidelight.mk
# It needs Python 3.11 or newer. It installs what {SOURCES} names into .sidelight, or takes SIDELIGHT=/path/to/sidelight.
SIDELIGHT_HOME := $(dir $(lastword $(MAKEFILE_LIST)))
SIDELIGHT_PYTHON ?= python3
SIDELIGHT_ENV ?= $(SIDELIGHT_HOME).sidelight
CHECK_ARGS ?=

ifneq ($(shell grep '^[^#]' $(SIDELIGHT_HOME){SOURCES}),)
SIDELIGHT ?= $(abspath $(SIDELIGHT_ENV))/bin/sidelight
endif
SIDELIGHT ?= sidelight

.PHONY: sidelight observability observability-check observability-ci dashboards

sidelight:
ifeq ($(SIDELIGHT),$(abspath $(SIDELIGHT_ENV))/bin/sidelight)
sidelight: $(SIDELIGHT_ENV)/ready
$(SIDELIGHT_ENV)/ready: $(SIDELIGHT_HOME){SOURCES}
	@$(SIDELIGHT_PYTHON) -m venv $(SIDELIGHT_ENV)
	@echo '*' > $(SIDELIGHT_ENV)/.gitignore
	@cd $(SIDELIGHT_HOME) && $(abspath $(SIDELIGHT_ENV))/bin/python -m pip install --quiet --disable-pip-version-check \\
		--requirement {SOURCES}
	@touch $@
else
	@command -v $(SIDELIGHT) >/dev/null || {{ echo "$(SIDELIGHT): not found; name its source in {SOURCES}" >&2; exit 1; }}
endif

observability: sidelight ## Generate rules, dashboards, collector and chart into {GENERATED}/.
	@cd $(SIDELIGHT_HOME) && $(SIDELIGHT) build --output {GENERATED}

observability-check: observability ## Check the settings and all generated files.
	@cd $(SIDELIGHT_HOME) && $(SIDELIGHT) check
	@cd $(SIDELIGHT_HOME) && $(SIDELIGHT) check $(CHECK_ARGS) {GENERATED}

observability-ci: observability-check ## The same, and fail unless the generated files are committed.
	@cd $(SIDELIGHT_HOME) && changed=$$(git status --porcelain --ignored -- {GENERATED}) && if [ -n "$$changed" ]; then \\
		echo "$$changed"; echo "{GENERATED}/ is not committed as it was generated: run 'make -f sidelight.mk observability' and commit it" >&2; \\
		exit 1; fi

dashboards: sidelight ## Publish the dashboards to GRAFANA_URL.
	@cd $(SIDELIGHT_HOME) && $(SIDELIGHT) publish
"""


def _github(project: Project) -> str:
    # GitHub shows annotations beside the code only if their paths begin at the root.
    where, show = (f"-C {project.within} ", "") if project.within else ("", " CHECK_ARGS='--format github'")
    paths = f", paths: [{json.dumps(f'{project.within}/**')}]" if project.within else ""
    only = f"pull_request: {{{paths.removeprefix(', ')}}}" if paths else "pull_request:"
    return f"""\
# Checks that rules, dashboards and chart are committed as sidelight.yaml generates them, and have no faults.
name: {f"sidelight of {project.within}" if project.within else "sidelight"}
on:
  {only}
  push: {{branches: [main]{paths}}}
permissions: {{contents: read}}
jobs:
  observability:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with: {{persist-credentials: false}}
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0
        with: {{python-version: "3.13"}}
      - run: make {where}-f sidelight.mk observability-ci{show}
"""


def _gitlab(project: Project) -> str:
    file = f".gitlab/sidelight-{project.within.replace('/', '-')}.yml" if project.within else ".gitlab/sidelight.yml"
    where = f"-C {project.within} " if project.within else ""
    return f"""\
# Checks that rules, dashboards and chart are committed as sidelight.yaml generates them, and have no faults.
# Include it in .gitlab-ci.yml:  include: {{local: {file}}}
{f"sidelight-{project.within.replace('/', '-')}" if project.within else "sidelight"}:
  image: docker.io/library/python:3.13
  timeout: 10 minutes
  script:
    - make {where}-f sidelight.mk observability-ci
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
