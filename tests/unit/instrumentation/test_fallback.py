"""Whose page is whose: what an app answers itself stays, whatever it is made of, and one line of the log says so."""

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
from instrumentation.http import fallback
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
    """One that looks at the path by itself."""
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
def test_a_health_page_that_says_503_still_does_and_what_the_app_lacks_is_answered(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    observed = Observed(OWN_HEALTH[kind]())
    assert [answers(observed, "/health")["/health"][0] for _ in range(3)] == [503, 503, 503]
    assert answers(observed, "/metrics", "/ready") == {path: SIDELIGHTS[path] for path in ("/metrics", "/ready")}
    (line,) = lines(caplog)
    assert line.startswith("Sidelight answers /metrics, /ready; the app answers /health")


def test_an_app_that_has_none_of_the_pages_gets_all(caplog: pytest.LogCaptureFixture) -> None:
    observed = Observed(shop())
    assert answers(observed) == SIDELIGHTS
    assert answers(observed) == SIDELIGHTS
    assert lines(caplog) == ["Sidelight answers /metrics, /health, /ready"]


def test_an_app_below_the_path_is_redirected_to_as_before() -> None:
    app = FastAPI()
    app.mount("/health", Starlette(routes=[Route("/", down)]))
    assert answers(Observed(app), "/health", "/health/") == {"/health": (307, ""), "/health/": (503, "db dow")}


def test_files_at_the_root_leave_the_pages_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "health").write_text("a file")
    (tmp_path / "404.html").write_text("nothing here")
    app = Starlette(routes=[Mount("/", StaticFiles(directory=tmp_path, html=True))])
    assert answers(Observed(app)) == {**SIDELIGHTS, "/health": (200, "a file")}


def test_a_parameter_that_the_path_does_not_fit_is_no_page() -> None:
    app = FastAPI()
    app.add_api_route("/{item}", item)
    assert answers(Observed(app)) == SIDELIGHTS


def item(item: int) -> int:
    return item


def test_a_page_of_the_app_counts_where_it_is_not_excluded() -> None:
    app = inner()
    observed = Observed(app, settings(http={"excluded_routes": []}))
    observed.call(("GET", "/health"))
    assert observed.counted() == {("GET", "/health", "503", "503"): 1}


def test_a_route_that_is_added_later_has_its_page_and_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    observed = Observed(app)
    assert answers(observed) == SIDELIGHTS
    app.add_api_route("/health", down, response_model=None)
    assert answers(observed) == {**SIDELIGHTS, "/health": (503, "db dow")}
    assert len(lines(caplog)) == 2


def test_ordinary_requests_ask_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await PlainTextResponse("here")(scope, receive, send)

    Observed(app).call(("GET", "/items"), ("GET", "/"))
    assert asked == ["/items", "/"]
    assert lines(caplog) == []


# --- Guards ----------------------------------------------------------------------------------------------------------------


class Guarded:
    """Lets through who brings the key, as LiteLLM does before its page of metrics."""

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
def test_what_is_refused_stays_refused_whoever_asks_first(refusal: int) -> None:
    observed = Observed(Guarded(shop(), "/metrics", refusal=refusal))
    with_key = {"authorization": "Bearer s7"}
    assert answers(observed, "/metrics", **with_key)["/metrics"] == (200, "# HELP")  # the app has none: ours, behind it
    assert answers(observed, "/metrics")["/metrics"] == (refusal, "no key")
    assert answers(observed, "/metrics", **with_key)["/metrics"] == (200, "# HELP")


def test_a_guard_of_everything_is_a_guard_of_the_pages(caplog: pytest.LogCaptureFixture) -> None:
    app = shop()
    app.add_middleware(lambda app: Guarded(app, "/"))
    observed = Observed(app)
    assert answers(observed) == dict.fromkeys(PAGES, (401, "no key"))
    (line,) = lines(caplog)
    assert line == (
        "Sidelight answers no page; the app answers /metrics (status 401), /health (status 401), /ready (status 401) "
        "itself (http.overridden_routes changes that); Sidelight adds its metrics where /metrics is a page of metrics"
    )


def test_the_app_is_asked_as_by_somebody_unknown() -> None:
    guarded = Guarded(bare, "/metrics")
    answers(Observed(guarded), "/ready", authorization="Bearer s7", cookie="session=7")
    assert guarded.asked == [{b"host": b"shop"}] * 3


def test_a_host_that_the_app_does_not_know_is_no_page(caplog: pytest.LogCaptureFixture) -> None:
    app = inner()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["shop.example"])
    observed = Observed(app)
    assert answers(observed, "/ready") == {"/ready": SIDELIGHTS["/ready"]}  # asked for by its address, as probes do
    assert answers(observed, "/health", host="shop.example") == {"/health": (503, "db dow")}
    assert len(lines(caplog)) == 1


# --- Settings ---------------------------------------------------------------------------------------------------------------


def test_a_page_can_be_had_in_place_of_the_apps(caplog: pytest.LogCaptureFixture) -> None:
    observed = Observed(catching_all(), settings(http={"overridden_routes": ["/health"]}))
    assert answers(observed) == SIDELIGHTS
    assert lines(caplog) == ["Sidelight answers /metrics, /health (as http.overridden_routes says), /ready"]


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        (
            {"http": {"overridden_routes": ["/health", "/healthz"]}},
            'settings: http.overridden_routes.1: got "/healthz", where Sidelight has no page; give one of /metrics, /health, /ready.',
        ),
        (
            {"http": {"overridden_routes": ["/metrics"]}, "metrics": {"port": 9464}},
            'settings: http.overridden_routes.0: got "/metrics", where Sidelight has no page; give one of /health, /ready.',
        ),
    ],
)
def test_a_path_without_a_page_cannot_be_overridden(sections: Any, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(sections)
    assert str(caught.value) == sentence


# --- Apps that are difficult to ask ----------------------------------------------------------------------------------------


def test_an_app_that_fails_when_asked_fails_as_before_and_once_it_does_not_there_is_a_page() -> None:
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


def test_an_app_that_does_not_answer_in_time_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fallback, "PATIENCE_SECONDS", 0.05)
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["headers"] == [(b"host", b"shop")]:
            await go_on.wait()
        await PlainTextResponse("late")(scope, receive, send)

    assert answers(Observed(app), "/ready") == {"/ready": (200, "late")}
    assert "the app answers /metrics (asked each time)" in lines(caplog)[0]


def test_an_endless_stream_is_a_page_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "PATIENCE_SECONDS", 0.05)
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


def test_what_the_app_leaves_in_its_context_when_asked_is_gone() -> None:

    seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="")
    before = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        before.append(seen.get())
        seen.set(scope["path"])
        await PlainTextResponse("own")(scope, receive, send)

    answers(Observed(app), "/ready")
    assert before == [""] * 4


def test_where_the_loop_is_not_asyncios_the_app_answers_first() -> None:
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


def test_an_instrumented_app_within_is_asked_for_its_own_pages_alone() -> None:
    observed = Observed(inner())
    outer = observed.again(hidden(observed.app))
    assert answers(outer) == {**SIDELIGHTS, "/health": (503, "db dow")}


def test_a_wsgi_app_keeps_its_pages_too(caplog: pytest.LogCaptureFixture) -> None:
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
