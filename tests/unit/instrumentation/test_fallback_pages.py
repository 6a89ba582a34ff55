"""The app keeps its own pages, however it serves them, and one log line lists who answers which page."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.staticfiles import StaticFiles
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, Router

from instrumentation.errors import SettingsError
from instrumentation.http import fallback_pages
from instrumentation.settings import parse_settings
from tests.unit.instrumentation.test_behaviours import Copying
from tests.unit.instrumentation.test_http import Observed, shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from instrumentation.settings import Settings

PAGES = ("/metrics", "/health", "/ready")
SIDELIGHTS = {"/metrics": (200, "# HELP"), "/health": (200, '{"stat'), "/ready": (200, '{"stat')}


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "instrumentation")


def answers(observed: Observed, *paths: str, **headers: str) -> dict[str, tuple[int, str]]:
    """Path to the status and the beginning of the answer."""
    paths = paths or PAGES
    found = observed.call(*(("GET", path) for path in paths), headers=headers)
    return {path: (answer.status_code, answer.text[:6]) for path, answer in zip(paths, found, strict=True)}


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "Sidelight" in record.getMessage()]


def settings(**sections: Any) -> Settings:
    return parse_settings({"logging": {"enabled": False, "correlation_id": False}, **sections})


# --- Apps that have pages of their own -----------------------------------------------------------------------------------


async def down(request: Request) -> PlainTextResponse:
    del request
    return PlainTextResponse("db down", 503)


class Down(HTTPEndpoint):
    async def get(self, request: Request) -> PlainTextResponse:
        return await down(request)


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """An app that checks the path itself."""
    status = 503 if scope["path"] == "/health" else 404
    await PlainTextResponse("own", status)(scope, receive, send)


def inner() -> Starlette:
    return Starlette(routes=[Route("/health", down)])


def hidden(app: Any) -> Any:
    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return wrapper


def catching_all() -> FastAPI:
    app = FastAPI()

    @app.get("/{path:path}")
    def proxy(path: str) -> PlainTextResponse:
        if path == "health":
            return PlainTextResponse("upstream is down", 503)
        raise HTTPException(404, f"upstream has no {path}")

    return app


def answering_in_a_middleware() -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def health(request: Request, call_next: Callable[[Request], Any]) -> Response:
        if request.url.path == "/health":
            return PlainTextResponse("db down", 503)
        answer: Response = await call_next(request)
        return answer

    return app


def included() -> FastAPI:
    router = APIRouter()
    router.add_api_route("/health", down, response_model=None)
    app = FastAPI()
    app.include_router(router)
    return app


OWN_HEALTH: dict[str, Callable[[], Any]] = {
    "a bare app": lambda: bare,
    "a catch-all route": catching_all,
    "a middleware that answers": answering_in_a_middleware,
    "an included router": included,
    "a mount of everything": lambda: Starlette(routes=[Mount("/", app=inner())]),
    "a mount of everything that cannot be read": lambda: Starlette(routes=[Mount("/", app=hidden(inner()))]),
    "a wrapped app": lambda: hidden(inner()),
    "a router alone": lambda: Router(routes=[Route("/health", down)]),
    "a class for an endpoint": lambda: Starlette(routes=[Route("/health", Down)]),
    "a scope that is copied": lambda: Starlette(routes=[Route("/health", down)], middleware=[Middleware(Copying)]),
}


@pytest.mark.parametrize("kind", OWN_HEALTH)
def test_a_health_page_of_the_app_stays_503_and_sidelight_answers_the_others(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    observed = Observed(OWN_HEALTH[kind]())
    assert [answers(observed, "/health")["/health"][0] for _ in range(3)] == [503, 503, 503]
    assert answers(observed, "/metrics", "/ready") == {path: SIDELIGHTS[path] for path in ("/metrics", "/ready")}
    (line,) = lines(caplog)
    assert line.startswith("Sidelight answers /metrics, /ready; the app answers /health")


def test_sidelight_answers_all_pages_of_an_app_without_any(caplog: pytest.LogCaptureFixture) -> None:
    observed = Observed(shop())
    assert answers(observed) == SIDELIGHTS
    assert answers(observed) == SIDELIGHTS
    assert lines(caplog) == ["Sidelight answers /metrics, /health, /ready"]


def test_a_redirect_to_an_app_that_is_mounted_at_the_path_stays() -> None:
    app = FastAPI()
    app.mount("/health", Starlette(routes=[Route("/", down)]))
    assert answers(Observed(app), "/health", "/health/") == {"/health": (307, ""), "/health/": (503, "db dow")}


def test_static_files_at_the_root_keep_only_the_paths_that_exist(tmp_path: Path) -> None:
    (tmp_path / "health").write_text("a file")
    (tmp_path / "404.html").write_text("nothing here")
    app = Starlette(routes=[Mount("/", StaticFiles(directory=tmp_path, html=True))])
    assert answers(Observed(app)) == {**SIDELIGHTS, "/health": (200, "a file")}


def test_a_route_whose_parameter_rejects_the_path_is_not_a_page() -> None:
    app = FastAPI()
    app.add_api_route("/{item}", item)
    assert answers(Observed(app)) == SIDELIGHTS


def item(item: int) -> int:
    return item


def test_a_page_of_the_app_counts_if_it_is_not_excluded() -> None:
    app = inner()
    observed = Observed(app, settings(http={"excluded_routes": []}))
    observed.call(("GET", "/health"))
    assert observed.counted() == {("GET", "/health", "503", "503"): 1}


def test_a_route_that_is_added_later_is_respected_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    observed = Observed(app)
    assert answers(observed) == SIDELIGHTS
    app.add_api_route("/health", down, response_model=None)
    assert answers(observed) == {**SIDELIGHTS, "/health": (503, "db dow")}
    assert len(lines(caplog)) == 2


def test_ordinary_requests_cause_no_probe(caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await PlainTextResponse("here")(scope, receive, send)

    Observed(app).call(("GET", "/items"), ("GET", "/"))
    assert asked == ["/items", "/"]
    assert lines(caplog) == []


# --- Guards ----------------------------------------------------------------------------------------------------------------


class Guarded:
    """Requires a key, as LiteLLM does for its metrics page."""

    def __init__(self, app: Any, *paths: str, refusal: int = 401) -> None:
        self._app = app
        self._paths = paths
        self._refusal = refusal
        self.asked: list[dict[bytes, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        self.asked.append(headers)
        if scope["path"].startswith(self._paths) and headers.get(b"authorization") != b"Bearer s7":
            await PlainTextResponse("no key", self._refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@pytest.mark.parametrize("refusal", [401, 403, 302])
def test_a_path_that_requires_a_key_requires_it_whichever_request_comes_first(refusal: int) -> None:
    observed = Observed(Guarded(shop(), "/metrics", refusal=refusal))
    with_key = {"authorization": "Bearer s7"}
    assert answers(observed, "/metrics", **with_key)["/metrics"] == (200, "# HELP")  # the app has none: ours, behind it
    assert answers(observed, "/metrics")["/metrics"] == (refusal, "no key")
    assert answers(observed, "/metrics", **with_key)["/metrics"] == (200, "# HELP")


def test_an_app_that_requires_a_key_everywhere_requires_it_for_the_pages(caplog: pytest.LogCaptureFixture) -> None:
    app = shop()
    app.add_middleware(lambda app: Guarded(app, "/"))
    observed = Observed(app)
    assert answers(observed) == dict.fromkeys(PAGES, (401, "no key"))
    (line,) = lines(caplog)
    assert line == (
        "Sidelight answers no page; the app answers /metrics (status 401), /health (status 401), /ready (status 401) "
        "(see http.overridden_routes); Sidelight adds its metrics if /metrics is a metrics page"
    )


def test_a_probe_has_no_credentials() -> None:
    guarded = Guarded(bare, "/metrics")
    answers(Observed(guarded), "/ready", authorization="Bearer s7", cookie="session=7")
    assert guarded.asked == [{b"host": b"shop"}] * 3


def test_a_rejected_host_does_not_hide_the_pages(caplog: pytest.LogCaptureFixture) -> None:
    app = inner()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["shop.example"])
    observed = Observed(app)
    assert answers(observed, "/ready") == {"/ready": SIDELIGHTS["/ready"]}  # asked for by its address, as probes do
    assert answers(observed, "/health", host="shop.example") == {"/health": (503, "db dow")}
    assert len(lines(caplog)) == 1


# --- Settings ---------------------------------------------------------------------------------------------------------------


def test_a_page_of_the_app_can_be_overridden(caplog: pytest.LogCaptureFixture) -> None:
    observed = Observed(catching_all(), settings(http={"overridden_routes": ["/health"]}))
    assert answers(observed) == SIDELIGHTS
    assert lines(caplog) == ["Sidelight answers /metrics, /health (set in http.overridden_routes), /ready"]


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        (
            {"http": {"overridden_routes": ["/health", "/healthz"]}},
            'settings: http.overridden_routes.1: got "/healthz", which is not a page of Sidelight; give one of /metrics, /health, /ready.',
        ),
        (
            {"http": {"overridden_routes": ["/metrics"]}, "metrics": {"port": 9464}},
            'settings: http.overridden_routes.0: got "/metrics", which is not a page of Sidelight; give one of /health, /ready.',
        ),
    ],
)
def test_only_pages_of_sidelight_can_be_overridden(sections: Any, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(sections)
    assert str(caught.value) == sentence


# --- Apps that are difficult to probe ----------------------------------------------------------------------------------------


def test_an_app_that_raises_still_raises_and_the_page_appears_once_it_recovers() -> None:
    broken = True

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if broken:
            raise RuntimeError("broken")
        await bare(scope, receive, send)

    observed = Observed(app)
    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(_get(observed.app, "/metrics"))
    broken = False
    assert answers(observed, "/metrics") == {"/metrics": SIDELIGHTS["/metrics"]}


async def _get(app: Any, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        return await client.get(path)


def test_an_app_that_is_slower_than_a_probe_keeps_its_page(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fallback_pages, "PROBE_SECONDS", 0.05)
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["headers"] == [(b"host", b"shop")]:
            await go_on.wait()
        await PlainTextResponse("late")(scope, receive, send)

    assert answers(Observed(app), "/ready") == {"/ready": (200, "late")}
    assert "the app answers /metrics (no response to a probe)" in lines(caplog)[0]


def test_an_endless_stream_is_a_page_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback_pages, "PROBE_SECONDS", 0.05)
    closed = []

    async def ticks() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick"
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        is_asked = scope["headers"] == [(b"host", b"shop")]
        answer = StreamingResponse(ticks()) if is_asked else PlainTextResponse("the stream")
        await answer(scope, receive, send)

    assert answers(Observed(app), "/ready") == {"/ready": (200, "the st")}
    assert closed == [True, True, True]


def test_context_variables_of_a_probe_do_not_reach_the_request() -> None:

    seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="")
    before = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        before.append(seen.get())
        seen.set(scope["path"])
        await PlainTextResponse("own")(scope, receive, send)

    answers(Observed(app), "/ready")
    assert before == [""] * 4


def test_without_an_asyncio_loop_the_app_answers_first() -> None:
    observed = Observed(bare)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/ready", "headers": [], "query_string": b""}
    running = observed.app(scope, receive, send)
    with pytest.raises(StopIteration):
        running.send(None)
    assert sent[0]["status"] == 200


def test_an_instrumented_inner_app_is_probed_without_its_instrumentation() -> None:
    observed = Observed(inner())
    outer = observed.again(hidden(observed.app))
    assert answers(outer) == {**SIDELIGHTS, "/health": (503, "db dow")}


def test_a_wsgi_app_keeps_its_pages(caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        asked.append((environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION")))
        status = "503 db down" if environ["PATH_INFO"] == "/health" else "404 Not Found"
        start_response(status, [("content-type", "text/plain")])
        return [b"own"]

    observed = Observed(app)

    def answered(path: str) -> tuple[str, bytes]:
        said: list[str] = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_HOST": "shop", "HTTP_AUTHORIZATION": "s7"}
        body = b"".join(observed.app(environ, lambda status, *_: said.append(status)))
        return said[0], body[:6]

    assert answered("/health") == ("503 db down", b"own")
    assert answered("/metrics") == ("200 OK", b"# HELP")
    assert answered("/ready") == ("200 OK", b'{"stat')
    assert asked == [("/metrics", None), ("/health", None), ("/ready", None), ("/health", "s7")]
    assert any(line.startswith("Sidelight answers /metrics, /ready; the app answers /health") for line in lines(caplog))
