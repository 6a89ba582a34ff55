"""The forms in which dashboards are exported for those who do not publish through Grafana's API."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import yaml

from dashboards.export.schema_v2 import VERSIONS, resource
from dashboards.grafana.publish import publication_of
from dashboards.ownership import marked
from dashboards.pages import DASHBOARDS
from instrumentation.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dashboards.grafana.plan import Publication
    from instrumentation.settings import Settings

    Files = dict[str, str]

PROVISIONED = "/var/lib/grafana/dashboards/sidelight"
"""The folder in Grafana's container in which provisioned dashboards are expected."""

_NOTE = "# Written by `sidelight export`. Change sidelight.yaml and export again.\n"


def exported(settings: Settings, form: str) -> Files:
    """File name to text.

    Args:
        settings: The settings; ``dashboards.own`` is included, except in the second schema.
        form: One of ``FORMS``.

    Raises:
        SidelightError: ``form_unknown``, ``export_ambiguous``.
        PublishError: ``dashboard_unreadable``.
    """
    if form not in FORMS:
        raise SidelightError(f"export: got {form!r}; give one of {', '.join(FORMS)}, or alerts.", code="form_unknown")
    publication = publication_of(settings)
    names: dict[str, str] = {}
    for name in publication.dashboards:
        if (first := names.setdefault(_slug(name), name)) != name:
            raise SidelightError(
                f"export: {first} and {name} would be the same file {_slug(name)}; rename one.", code="export_ambiguous"
            )
    owned = {name: marked(data, publication.owner) for name, data in publication.dashboards.items()}
    return FORMS[form](replace(publication, dashboards=owned))


def left_out(settings: Settings, form: str) -> str:
    """A sentence about what the form does not contain; empty if it contains everything."""
    if form in VERSIONS and settings.dashboards.own:
        return "dashboards.own is left out: files of the first schema are not translated into the second."
    return ""


def _provisioning(publication: Publication) -> Files:
    """Files for Grafana's ``provisioning`` folder, and for the folder that they name."""
    provider = {
        "name": _slug("-".join(filter(None, ("sidelight", publication.owner)))),
        "type": "file",
        "folder": publication.folder,
        "allowUiUpdates": False,
        "disableDeletion": False,
        "options": {"path": PROVISIONED},
    }
    config = _yaml({"apiVersion": 1, "providers": [provider]})
    return {"provisioning/dashboards/sidelight.yaml": config, **_json_files(publication, "dashboards")}


def _operator(publication: Publication) -> Files:
    """One ``GrafanaDashboard`` of the Grafana Operator (version 5) for each dashboard."""
    return {
        f"{_slug(name)}.yaml": _yaml(
            {
                "apiVersion": "grafana.integreatly.org/v1beta1",
                "kind": "GrafanaDashboard",
                "metadata": {
                    "name": _slug(str(dashboard["uid"])),
                    "labels": {"app.kubernetes.io/part-of": "sidelight"},
                },
                "spec": {
                    "instanceSelector": {"matchLabels": {"dashboards": "grafana"}},
                    "allowCrossNamespaceImport": True,
                    "folder": publication.folder,
                    "json": _json(dashboard),
                },
            }
        )
        for name, dashboard in publication.dashboards.items()
    }


def _terraform(publication: Publication) -> Files:
    """A module in Terraform's JSON syntax, for the provider grafana/grafana, with the dashboards beside it."""
    dashboards = {
        _slug(name).replace("-", "_"): {
            "folder": "${grafana_folder.sidelight.uid}",
            # Read from a file: in a string, Terraform would take Grafana's variables for its own.
            "config_json": f'${{file("${{path.module}}/dashboards/{_slug(name)}.json")}}',
        }
        for name in publication.dashboards
    }
    module = {
        "terraform": {"required_providers": {"grafana": {"source": "grafana/grafana", "version": ">= 2.0"}}},
        "resource": {
            "grafana_folder": {"sidelight": {"title": publication.folder}},
            "grafana_dashboard": dashboards,
        },
    }
    return {"main.tf.json": _json(module), **_json_files(publication, "dashboards")}


def _second_schema(publication: Publication, *, version: str) -> Files:
    ours = {name: data for name, data in publication.dashboards.items() if name in DASHBOARDS}
    return {f"{name}.json": _json(resource(data, version)) for name, data in ours.items()}


FORMS: Mapping[str, Callable[[Publication], Files]] = {
    "provisioning": _provisioning,
    "operator": _operator,
    "terraform": _terraform,
    **{version: partial(_second_schema, version=version) for version in VERSIONS},
}
"""Name to the function that makes the files."""


def _json_files(publication: Publication, folder: str) -> Files:
    return {f"{folder}/{_slug(name)}.json": _json(data) for name, data in publication.dashboards.items()}


def _json(data: object) -> str:
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _yaml(data: Mapping[str, Any]) -> str:
    return _NOTE + yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _slug(name: str) -> str:
    """A name for files and for objects of Kubernetes.

    >>> _slug("grafana/Queues of EU.json")
    'queues-of-eu'
    """
    stem = name.rpartition("/")[2].removesuffix(".json")
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
