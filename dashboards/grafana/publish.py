"""Brings the dashboards into a Grafana: everything is checked first, then sent one after the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from dashboards.grafana.client import Grafana, PublishError, Session
from dashboards.grafana.folder import existing_folder
from dashboards.pages import DASHBOARDS
from instrumentation.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.settings import Settings

    Dashboards = Mapping[str, Mapping[str, object]]
    Echo = Callable[[str], object]

URL_VARIABLE = "GRAFANA_URL"
TOKEN_VARIABLE = "GRAFANA_TOKEN"  # noqa: S105 - a variable's name
TOKEN_FILE_VARIABLE = "GRAFANA_TOKEN_FILE"  # noqa: S105 - a variable's name
USER_VARIABLE = "GRAFANA_USER"
PASSWORD_VARIABLE = "GRAFANA_PASSWORD"  # noqa: S105 - a variable's name
PASSWORD_FILE_VARIABLE = "GRAFANA_PASSWORD_FILE"  # noqa: S105 - a variable's name

_LONGEST_UID = 40  # Grafana's own limit


def publish(dashboards: Dashboards, grafana: Grafana, *, folder: str, message: str, echo: Echo) -> None:
    """Create the folder where it is missing, then create or replace each dashboard.

    Args:
        dashboards: Name to Grafana JSON.
        grafana: Where to.
        folder: The folder's title, path of titles or uid.
        message: Stands in each dashboard's version history.
        echo: Takes one line of progress for each dashboard.

    Raises:
        PublishError: ``grafana_url_invalid``, ``grafana_token_invalid`` or ``dashboard_invalid`` before anything is sent;
            then what ``existing_folder`` and ``Session`` raise, with the names of the dashboards that were published
            before it.
    """
    _check_address(grafana)
    for name, dashboard in dashboards.items():
        _check_dashboard(name, dashboard)
    published: list[str] = []
    try:
        with Session(grafana) as session:
            existing = existing_folder(folder, session.folders())
            uid = existing.uid if existing else session.create_folder(folder)
            for name, dashboard in dashboards.items():
                address = session.save(name, dashboard, uid, message, wait=None if existing or published else echo)
                published.append(name)
                echo(f"published {name}: {address}")
    except PublishError as error:
        raise _with_published(error, published) from error.__cause__


def publish_from_environment(
    settings: Settings, environ: Mapping[str, str], echo: Echo, transport: httpx.BaseTransport | None = None
) -> int:
    """Publish every dashboard to the Grafana at GRAFANA_URL, as GRAFANA_TOKEN or as GRAFANA_USER.

    Args:
        settings: What the dashboards are made from, and the folder.
        environ: The environment.
        echo: Takes each line for people.
        transport: The HTTP transport; httpx's own by default.

    Returns:
        The exit code, 0; also where GRAFANA_URL is not set and there is nothing to do.

    Raises:
        PublishError: As ``publish``, and ``grafana_token_missing`` and ``grafana_credentials_ambiguous``.
    """
    url = environ.get(URL_VARIABLE)
    if not url:
        echo(f"{URL_VARIABLE} is not set, so nothing is published.")
        return 0
    publish(
        {name: build(settings) for name, build in DASHBOARDS.items()},
        _grafana(url.rstrip("/"), environ, transport),
        folder=settings.dashboards.folder,
        message=f"Published by Sidelight {__version__}",
        echo=echo,
    )
    return 0


def _grafana(url: str, environ: Mapping[str, str], transport: httpx.BaseTransport | None) -> Grafana:
    token = _secret(environ, TOKEN_VARIABLE, TOKEN_FILE_VARIABLE)
    user = environ.get(USER_VARIABLE, "")
    if token and user:
        problem = f"{TOKEN_VARIABLE} and {USER_VARIABLE} are both set; give one of them."
        raise PublishError(problem, code="grafana_credentials_ambiguous")
    if user:
        password = _secret(environ, PASSWORD_VARIABLE, PASSWORD_FILE_VARIABLE)
        _require(password, f"{USER_VARIABLE} is set, but no password", PASSWORD_VARIABLE, PASSWORD_FILE_VARIABLE)
        return Grafana(url=url, user=user, password=password, transport=transport)
    _require(token, f"{URL_VARIABLE} is set, but no token", TOKEN_VARIABLE, TOKEN_FILE_VARIABLE)
    return Grafana(url=url, token=token, transport=transport)


def _require(secret: str, problem: str, variable: str, file_variable: str) -> None:
    if not secret:
        problem = f"{problem}; give one in {variable} or in the file that {file_variable} names."
        raise PublishError(problem, code="grafana_token_missing")


def _secret(environ: Mapping[str, str], variable: str, file_variable: str) -> str:
    file = environ.get(file_variable)
    given = environ.get(variable) or (_read(Path(file), file_variable) if file else "")
    return given.strip()


def _read(file: Path, variable: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problem = f"{variable}: {file} cannot be read ({reason}); give a text file that holds the secret alone."
        # The cause of a decoding error holds the bytes of the file.
        raise PublishError(problem, code="grafana_token_missing") from None


def _check_address(grafana: Grafana) -> None:
    # Neither error repeats what was given: an address may hold a password, and a token is one.
    if not _is_address(grafana.url):
        problem = "is not a web address; give one such as https://grafana.example, without user and password"
        raise PublishError(f"{URL_VARIABLE} {problem}.", code="grafana_url_invalid")
    if not (grafana.token.isascii() and grafana.token.isprintable()) or " " in grafana.token:
        problem = "holds what no token does, such as a space or a line break; give the token alone"
        raise PublishError(f"{TOKEN_VARIABLE} {problem}.", code="grafana_token_invalid")
    if ":" in grafana.user:
        raise PublishError(f"{USER_VARIABLE} holds a colon, which basic auth forbids.", code="grafana_user_invalid")


def _is_address(text: str) -> bool:
    try:
        parts, _ = urlsplit(text), httpx.URL(text)  # each refuses what the other lets pass
        bare = not (parts.username or parts.query or parts.fragment)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and bare and parts.port != 0
    except (ValueError, httpx.InvalidURL):
        return False


def _check_dashboard(name: str, dashboard: Mapping[str, object]) -> None:
    faults = [key for key in ("uid", "title") if not (isinstance(dashboard.get(key), str) and dashboard[key])]
    if len(str(dashboard.get("uid"))) > _LONGEST_UID:
        faults.append(f"uid of at most {_LONGEST_UID} characters")
    if not _is_json(dashboard):
        faults.append("form as JSON")
    if faults:
        problem = f"The dashboard {name!r} has no {' and no '.join(faults)}, so nothing is published."
        raise PublishError(problem, code="dashboard_invalid", details={"dashboard": name})


def _is_json(data: object) -> bool:
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _with_published(error: PublishError, published: list[str]) -> PublishError:
    told = f"Published before that: {', '.join(published)}." if published else "Nothing was published."
    details = {**error.details, "published": tuple(published)}
    return PublishError(f"{error.message} {told}", code=error.code, details=details)
