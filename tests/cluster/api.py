"""A small client for the API of Kubernetes: what the story and the played kubelet need."""

from __future__ import annotations

import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Object = dict[str, Any]
_T = TypeVar("_T")

_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_MERGE = {"Content-Type": "application/merge-patch+json"}
_NOT_FOUND = 404
_TIMEOUT = 60.0  # seconds
_PAUSE = 0.2  # seconds


class RefusedError(Exception):
    """The API server refused a request; the message is its own."""


class NeverError(Exception):
    """A condition was not met in time."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """How to reach an API server.

    Attributes:
        url: Its address.
        ca: The certificate that signed its own.
        certificate: The client's certificate.
        key: The client's key.
        kubeconfig: The same for Helm and kubectl.
    """

    url: str
    ca: Path
    certificate: Path
    key: Path
    kubeconfig: Path


@dataclass(frozen=True)
class Api:
    """The API, with the rights of an administrator."""

    http: httpx.Client

    def get(self, path: str, **parameters: str) -> Object | None:
        """One object or list; None if it does not exist.

        Raises:
            RefusedError: The server refuses for another reason.
        """
        answer = self.http.get(path, params=parameters)
        return None if answer.status_code == _NOT_FOUND else _body(answer)

    def items(self, path: str, **parameters: str) -> list[Object]:
        """The objects of a list; none if the kind does not exist."""
        found: list[Object] = (self.get(path, **parameters) or {}).get("items", [])
        return found

    def create(self, path: str, document: Mapping[str, Any]) -> Object:
        """Create an object.

        Raises:
            RefusedError: The server refuses it.
        """
        return _body(self.http.post(path, json=document))

    def apply(self, document: Mapping[str, Any], *, namespace: str = "", dry_run: bool = False) -> Object:
        """Apply an object on the server, with strict validation of its fields.

        Args:
            document: The object.
            namespace: Its namespace, if the object does not name one.
            dry_run: Only ask what the result would be.

        Raises:
            RefusedError: The server refuses it.
        """
        return self.apply_text(path_of(document, namespace), yaml.safe_dump(dict(document)), dry_run=dry_run)

    def apply_text(self, path: str, content: str, *, dry_run: bool = False) -> Object:
        """As ``apply``, with an object as YAML.

        Raises:
            RefusedError: The server refuses it.
        """
        parameters = {"fieldManager": "cluster", "fieldValidation": "Strict", "force": "true"}
        if dry_run:
            parameters["dryRun"] = "All"
        return _body(self.http.patch(path, params=parameters, headers=_APPLY, content=content))

    def set_status(self, path: str, status: Mapping[str, Any]) -> None:
        """Write the status of an object, as the component does that owns it."""
        _body(self.http.patch(f"{path}/status", headers=_MERGE, json={"status": status}))

    def delete(self, path: str) -> None:
        """Delete an object at once, or nothing if it does not exist."""
        answer = self.http.delete(path, params={"gracePeriodSeconds": "0"})
        if answer.status_code != _NOT_FOUND:
            _body(answer)


@contextmanager
def connected(to: Credentials) -> Iterator[Api]:
    """The API of a server."""
    context = ssl.create_default_context(cafile=to.ca)
    context.load_cert_chain(to.certificate, to.key)
    with httpx.Client(base_url=to.url, verify=context, timeout=_TIMEOUT, trust_env=False) as http:
        yield Api(http)


def path_of(document: Mapping[str, Any], namespace: str = "") -> str:
    """The path of an object."""
    version, kind, metadata = document["apiVersion"], document["kind"].lower(), document["metadata"]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}{'es' if kind.endswith('s') else 's'}"
    prefix = f"/{'api' if version == 'v1' else 'apis'}/{version}"
    inside = metadata.get("namespace", namespace)
    return f"{prefix}{f'/namespaces/{inside}' if inside else ''}/{plural}/{metadata['name']}"


def until(condition: Callable[[], _T | None], what: str, timeout: float = 60.0) -> _T:
    """The first result that is true.

    Args:
        condition: Called again and again.
        what: What is awaited, for the error.
        timeout: Seconds.

    Raises:
        NeverError: No result was true in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise NeverError(f"not within {timeout:g} s: {what}")
        time.sleep(_PAUSE)


def _body(answer: httpx.Response) -> Object:
    body: Object = answer.json() if answer.content else {}
    if answer.is_error:
        raise RefusedError(f"{answer.request.method} {answer.request.url.path}: {body.get('message', answer.text)}")
    return body
