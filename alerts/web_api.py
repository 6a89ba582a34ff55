"""HTTP APIs of servers that dashboards or rules are sent to: credentials, time limits, retries and clear errors."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import urljoin, urlsplit

import httpx
import stamina

from instrumentation.errors import SettingsError, SidelightError
from instrumentation.secret import file_variable, find_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from instrumentation.secret import Secret

    Query = Mapping[str, str | int | Sequence[str]]

_LONGEST_WAIT = 30.0  # seconds; if a server asks for more, the request fails at once
_TRANSIENT = frozenset({429, 502, 503, 504})
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})  # OpenSSL's X509_V_ERR codes


class WebApiError(SidelightError):
    """A server could not be reached, or refused a request."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How to send.

    Attributes:
        dry_run: Print what would change, and send nothing.
        check: Like ``dry_run``, but differences are a failure.
        diff: Print how each item differs from the one on the server.
        prune: Delete what was sent earlier and is no longer generated.
    """

    dry_run: bool = False
    check: bool = False
    diff: bool = False
    prune: bool = False

    @property
    def sends(self) -> bool:
        """Whether anything is sent."""
        return not (self.dry_run or self.check)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server and how to connect to it. A subclass says what kind of server it is.

    Attributes:
        url: Its address, possibly with a path, without a trailing slash.
        token: A token; empty if user and password are given, or if nothing is needed.
        user: For basic authentication.
        password: For basic authentication.
        transport: The HTTP transport; httpx's own by default.
        timeout: Time limit in seconds for connecting, and between two bytes of a response.
        attempts: Maximum number of attempts for a request that fails temporarily.
    """

    KIND: ClassVar[str]
    """The start of its errors' codes, and in capital letters of its environment variables, such as ``grafana``."""
    ERROR: ClassVar[type[WebApiError]]
    EXAMPLE: ClassVar[str]
    """An address, for messages."""
    NEEDS_CREDENTIALS: ClassVar[bool] = True

    url: str
    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    transport: httpx.BaseTransport | None = None
    timeout: float = 10.0
    attempts: int = 4

    @property
    def credentials(self) -> str:
        """The kind of credentials, for messages."""
        return "user" if self.user else "token"

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of every request."""
        return {"Authorization": f"Bearer {self.token}"} if self.token and not self.user else {}

    @classmethod
    def variable(cls, name: str) -> str:
        """An environment variable of this kind of server, such as GRAFANA_URL."""
        return f"{cls.KIND.upper()}_{name}"

    @classmethod
    def from_environment(cls, url: str, environ: Mapping[str, str], transport: httpx.BaseTransport | None) -> Self:
        """The server at this address, with the token, or user and password, from the environment.

        Raises:
            WebApiError: ``*_token_missing`` or ``*_credentials_ambiguous``.
        """
        token = cls._secret("TOKEN", environ)
        user = environ.get(cls.variable("USER"), "")
        if token and user:
            problem = f"{cls.variable('TOKEN')} and {cls.variable('USER')} are both set; give one of them."
            raise cls.ERROR(problem, code=f"{cls.KIND}_credentials_ambiguous")
        if user:
            password = cls._secret("PASSWORD", environ)
            if not password:
                raise cls._missing(f"{cls.variable('USER')} is set, but no password", cls.variable("PASSWORD"))
            return cls(url=url, user=user, password=password, transport=transport)
        if cls.NEEDS_CREDENTIALS and not token:
            raise cls._missing(f"{cls.variable('URL')} is set, but no token", cls.variable("TOKEN"))
        return cls(url=url, token=token, transport=transport)

    @classmethod
    def _missing(cls, problem: str, variable: str) -> WebApiError:
        problem = f"{problem}; give one in {variable} or in the file that {file_variable(variable)} names."
        return cls.ERROR(problem, code=f"{cls.KIND}_token_missing")

    @classmethod
    def _secret(cls, name: str, environ: Mapping[str, str]) -> str:
        """The secret; empty if there is none. A variable that is empty counts as not set."""
        try:
            found = find_secret(cls.variable(name), {name: value for name, value in environ.items() if value})
            return "" if found is None else _decoded(found)
        except SettingsError as error:
            raise cls.ERROR(str(error), code=f"{cls.KIND}_token_missing") from None

    def check(self) -> None:
        """Check address, token and user before any of them is sent.

        Raises:
            WebApiError: ``*_url_invalid``, ``*_token_invalid`` or ``*_user_invalid``.
        """
        # The messages do not repeat the given value: an address may contain a password, and a token is a secret.
        if not _is_address(self.url):
            problem = f"is not a web address; give one such as {self.EXAMPLE}, without user and password"
            raise self.ERROR(f"{self.variable('URL')} {problem}.", code=f"{self.KIND}_url_invalid")
        if not (self.token.isascii() and self.token.isprintable()) or " " in self.token:
            problem = (
                "contains characters that a token cannot have, such as a space or a line break; give only the token"
            )
            raise self.ERROR(f"{self.variable('TOKEN')} {problem}.", code=f"{self.KIND}_token_invalid")
        if ":" in self.user:
            problem = "contains a colon, which basic authentication does not allow"
            raise self.ERROR(f"{self.variable('USER')} {problem}.", code=f"{self.KIND}_user_invalid")


def _decoded(secret: Secret) -> str:
    try:
        return secret.read("only the secret").decode()
    except UnicodeDecodeError:  # its message contains the secret
        raise secret.fault(
            f"{secret.file or 'it'} is not UTF-8", "give a text file that contains only the secret"
        ) from None


def _is_address(text: str) -> bool:
    try:
        parts, _ = urlsplit(text), httpx.URL(text)  # each rejects addresses that the other accepts
        bare = not (parts.username or parts.query or parts.fragment)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and bare and parts.port != 0
    except (ValueError, httpx.InvalidURL):
        return False


class WebApi:
    """The requests to a server.

    Raises:
        WebApiError: ``*_certificate`` or ``proxy_invalid``.
    """

    def __init__(self, server: Server, accept: str) -> None:
        self._server = server
        try:
            self._client = httpx.Client(
                base_url=server.url,
                auth=(server.user, server.password) if server.user else None,
                headers={"Accept": accept, **server.headers},
                timeout=server.timeout,
                transport=server.transport,
            )
        except OSError as error:  # httpx reads the file named by SSL_CERT_FILE here
            variable = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
            reason = error.strerror or error
            problem = f"got {os.environ.get(variable)!r} ({reason}); give a file of certificates in PEM form"
            raise server.ERROR(f"{variable}: {problem}.", code=f"{server.KIND}_certificate") from error
        except (ValueError, httpx.InvalidURL, ImportError):  # each contains the address, which may contain a password
            problem = "the address of the proxy is not valid; give one such as http://proxy:3128"
            raise server.ERROR(f"HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: {problem}.", code="proxy_invalid") from None

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def send(
        self, method: str, path: str, *, json: object = None, text: str | None = None, query: Query | None = None
    ) -> httpx.Response:
        """The server's response, also if it is a refusal.

        Args:
            method: The HTTP method.
            path: The path below the server's address.
            json: The body, sent as JSON.
            text: The body, sent as YAML.
            query: The query's parameters.

        Raises:
            WebApiError: ``*_unreachable``, ``*_certificate``, ``*_redirects`` or ``*_unavailable``.
        """
        body = {} if text is None else {"Content-Type": "application/yaml"}
        request = self._client.build_request(method, path, json=json, content=text, params=query, headers=body)
        retry = stamina.RetryingCaller(attempts=self._server.attempts, timeout=None)
        try:
            response = retry(_pause, self._once, request)
        except _TransientStatusError as error:
            response = error.response
        except httpx.TimeoutException as error:
            raise self._unreachable(f"did not answer within {self._server.timeout:g} s") from error
        except httpx.HTTPError as error:
            certificate = _bad_certificate(error)
            if certificate:
                raise self._untrusted(certificate) from error
            raise self._unreachable(f"cannot be reached ({error})") from error
        status = response.status_code
        if response.has_redirect_location:
            raise self._redirected(response)
        if status in _TRANSIENT:
            raise self.error(f"keeps answering {status}; try again later", "unavailable", status=status)
        return response

    def _once(self, request: httpx.Request) -> httpx.Response:
        response = self._client.send(request)
        if response.status_code in _TRANSIENT:
            raise _TransientStatusError(response)
        return response

    def error(self, problem: str, code: str, *, status: int | None = None) -> WebApiError:
        """An error of this server, with its kind before the code."""
        return self.refusal(problem, f"{self._server.KIND}_{code}", status=status)

    def refusal(self, problem: str, code: str, *, status: int | None = None) -> WebApiError:
        """An error of this server."""
        told = "" if status is None else f" ({status})"
        details = {"url": self._server.url, "status": status}
        return self._server.ERROR(f"{self._server.url} {problem}{told}.", code=code, details=details)

    def _unreachable(self, problem: str) -> WebApiError:
        return self.error(f"{problem}; check the address and the network", "unreachable")

    def _untrusted(self, certificate: ssl.SSLCertVerificationError) -> WebApiError:
        problem = f"shows a certificate that is not trusted ({certificate.verify_message})"
        if certificate.verify_code in _UNKNOWN_AUTHORITY:
            problem += "; if an internal authority signed it, set SSL_CERT_FILE to that authority's certificate"
        return self.error(problem, "certificate")

    def _redirected(self, response: httpx.Response) -> WebApiError:
        asked = response.request.url.path
        target = urlsplit(urljoin(str(response.request.url), response.headers["Location"]))
        place = f"{target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}"  # a query may contain secrets
        api = asked.removeprefix(urlsplit(self._server.url).path)
        if place.endswith(api):
            advice = f"use {place.removesuffix(api)} as the address"
        else:
            advice = f"use an address at which {self._server.KIND.capitalize()} itself answers, not a login page"
        return self.error(f"redirects {asked} to {place}; {advice}", "redirects", status=response.status_code)


class _TransientStatusError(Exception):
    """A response with a status that may be temporary."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response


def _pause(error: Exception) -> bool | float:
    """Tells stamina after a failure whether to retry, or after how many seconds."""
    if isinstance(error, _TransientStatusError):
        asked = _retry_after(error.response)
        if asked is None:
            return True
        return asked if asked <= _LONGEST_WAIT else False
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and not _bad_certificate(error)


def _retry_after(response: httpx.Response) -> float | None:
    with suppress(ValueError):  # for a date or nonsense, stamina's own pauses are used
        return max(0.0, float(response.headers.get("retry-after", "")))
    return None


def _bad_certificate(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The certificate error behind an error of httpx, which itself only has a text."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
