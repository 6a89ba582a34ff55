"""A client for the rule groups of a ruler.

Sources: https://grafana.com/docs/mimir/latest/references/http-api/#ruler and ``pkg/api/api.go`` and ``pkg/ruler/api.go`` of
Cortex 1.21.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml

from alerts.model import to_yaml
from alerts.web_api import Server, WebApi, WebApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

Group = dict[str, Any]

_PATHS = ("/prometheus/config/v1/rules", "/api/v1/rules")  # Mimir's, and Grafana's for imports; Cortex's
_NO_RULES = "no rule groups found"
_TENANT = "X-Scope-OrgID"
_MOST_REASON = 300  # characters of a reason in a message


class RulerError(WebApiError):
    """An upload failed. Groups that were uploaded before the failure are as they were."""


@dataclass(frozen=True, kw_only=True)
class Ruler(Server):
    """A ruler and how to connect to it.

    Attributes:
        tenant: The tenant, sent as ``X-Scope-OrgID``; empty for none.
    """

    KIND = "ruler"
    ERROR = RulerError
    EXAMPLE = "http://mimir:8080"
    NEEDS_CREDENTIALS = False

    tenant: str = ""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of every request."""
        return {**super().headers, **({_TENANT: self.tenant} if self.tenant else {})}


class Session:
    """The rule groups of one namespace; raises RulerError with the codes of ``WebApi``, ``not_a_ruler`` or ``ruler_refused``.

    Args:
        ruler: The ruler.
        namespace: The namespace of the groups.
    """

    def __init__(self, ruler: Ruler, namespace: str) -> None:
        self._api = WebApi(ruler, "application/yaml")
        self._namespace = namespace
        self._path = ""

    def close(self) -> None:
        """Close its connections."""
        self._api.close()

    def groups(self) -> dict[str, Group]:
        """The groups of the namespace by name; also finds out which of the paths the ruler has."""
        for path in _PATHS:
            response = self._api.send("GET", f"{path}/{quote(self._namespace, safe='')}")
            found = self._listed(response)
            if found is not None:
                self._path = path
                return {str(group["name"]): group for group in found}
        raise self._api.refusal(
            f"has no API for rules at {' or '.join(_PATHS)}; give the address of a Mimir or Cortex, without these paths. "
            "Prometheus, Thanos and vmalert read rule files",
            "not_a_ruler",
            status=response.status_code,
        )

    def _listed(self, response: httpx.Response) -> list[Group] | None:
        """The groups of a response; None if the path belongs to another API."""
        if response.status_code == HTTPStatus.NOT_FOUND:
            return [] if _NO_RULES in response.text else None
        if not response.is_success:
            raise self._refused(response, f"to list the rules of the namespace {self._namespace}")
        try:
            document = yaml.safe_load(response.text)
        except yaml.YAMLError:
            return None
        if document is None or document == {}:
            return []
        listed = document.get(self._namespace) if isinstance(document, dict) else None
        is_list = isinstance(listed, list) and all(isinstance(group, dict) and "name" in group for group in listed)
        return listed if is_list else None

    def save(self, group: Group) -> None:
        """Create a group, or replace the one with its name."""
        response = self._api.send("POST", f"{self._path}/{quote(self._namespace, safe='')}", text=to_yaml(group))
        if not response.is_success:
            raise self._refused(response, f"the group {group['name']}")

    def delete(self, name: str) -> None:
        """Delete a group; deleting one that does not exist succeeds."""
        path = f"{self._path}/{quote(self._namespace, safe='')}/{quote(name, safe='')}"
        response = self._api.send("DELETE", path)
        if not response.is_success and response.status_code != HTTPStatus.NOT_FOUND:
            raise self._refused(response, f"to delete the group {name}")

    def _refused(self, response: httpx.Response, what: str) -> WebApiError:
        status = response.status_code
        reason = re.sub(r"\s+", " ", response.text).strip(" .")[:_MOST_REASON] or "no reason given"
        advice = ""
        if status == HTTPStatus.UNAUTHORIZED and "org id" in reason:
            advice = f"; set {Ruler.variable('TENANT')} to your tenant"
        elif status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            credentials = f"{Ruler.variable('TOKEN')}, or {Ruler.variable('USER')} and {Ruler.variable('PASSWORD')}"
            advice = f"; check {credentials}, and {Ruler.variable('TENANT')}"
        return self._api.refusal(f"refused {what}: {reason}{advice}", "ruler_refused", status=status)
