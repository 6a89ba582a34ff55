"""Reads and checks the address and the credentials of Grafana from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from dashboards.grafana.client import Grafana, PublishError
from instrumentation.errors import SettingsError
from instrumentation.secret import file_variable, find_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.secret import Secret

URL_VARIABLE = "GRAFANA_URL"
TOKEN_VARIABLE = "GRAFANA_TOKEN"  # noqa: S105 - a variable's name
USER_VARIABLE = "GRAFANA_USER"
PASSWORD_VARIABLE = "GRAFANA_PASSWORD"  # noqa: S105 - a variable's name


def grafana_from(url: str, environ: Mapping[str, str], transport: httpx.BaseTransport | None) -> Grafana:
    """The Grafana at this address, with the token, or user and password, from the environment.

    Raises:
        PublishError: ``grafana_token_missing`` or ``grafana_credentials_ambiguous``.
    """
    token = _secret(TOKEN_VARIABLE, environ)
    user = environ.get(USER_VARIABLE, "")
    if token and user:
        problem = f"{TOKEN_VARIABLE} and {USER_VARIABLE} are both set; give one of them."
        raise PublishError(problem, code="grafana_credentials_ambiguous")
    if user:
        password = _secret(PASSWORD_VARIABLE, environ)
        _require(password, f"{USER_VARIABLE} is set, but no password", PASSWORD_VARIABLE)
        return Grafana(url=url, user=user, password=password, transport=transport)
    _require(token, f"{URL_VARIABLE} is set, but no token", TOKEN_VARIABLE)
    return Grafana(url=url, token=token, transport=transport)


def _require(secret: str, problem: str, variable: str) -> None:
    if not secret:
        problem = f"{problem}; give one in {variable} or in the file that {file_variable(variable)} names."
        raise PublishError(problem, code="grafana_token_missing")


def _secret(variable: str, environ: Mapping[str, str]) -> str:
    """The secret; empty if there is none. A variable that is empty counts as not set."""
    try:
        found = find_secret(variable, {name: value for name, value in environ.items() if value})
        return "" if found is None else _decoded(found)
    except SettingsError as error:
        raise PublishError(str(error), code="grafana_token_missing") from None


def _decoded(secret: Secret) -> str:
    try:
        return secret.read("only the secret").decode()
    except UnicodeDecodeError:  # its message contains the secret
        raise secret.fault(
            f"{secret.file or 'it'} is not UTF-8", "give a text file that contains only the secret"
        ) from None


def check_address(grafana: Grafana) -> None:
    """Check address, token and user before any of them is sent.

    Raises:
        PublishError: ``grafana_url_invalid``, ``grafana_token_invalid`` or ``grafana_user_invalid``.
    """
    # The messages do not repeat the given value: an address may contain a password, and a token is a secret.
    if not _is_address(grafana.url):
        problem = "is not a web address; give one such as https://grafana.example, without user and password"
        raise PublishError(f"{URL_VARIABLE} {problem}.", code="grafana_url_invalid")
    if not (grafana.token.isascii() and grafana.token.isprintable()) or " " in grafana.token:
        problem = "contains characters that a token cannot have, such as a space or a line break; give only the token"
        raise PublishError(f"{TOKEN_VARIABLE} {problem}.", code="grafana_token_invalid")
    if ":" in grafana.user:
        raise PublishError(
            f"{USER_VARIABLE} contains a colon, which basic authentication does not allow.", code="grafana_user_invalid"
        )


def _is_address(text: str) -> bool:
    try:
        parts, _ = urlsplit(text), httpx.URL(text)  # each rejects addresses that the other accepts
        bare = not (parts.username or parts.query or parts.fragment)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and bare and parts.port != 0
    except (ValueError, httpx.InvalidURL):
        return False
