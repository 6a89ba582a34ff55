"""The user of each request is found and counted, and errors in doing so affect neither app nor log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, Request
from prometheus_client.registry import CollectorRegistry

from instrumentation import instrument
from instrumentation.errors import InstrumentationError, SettingsError
from instrumentation.http.users import seeing_users
from instrumentation.settings import Settings, parse_settings
from instrumentation.store.process_store import ProcessStore
from instrumentation.users.active import ActiveUsers

if TYPE_CHECKING:
    from instrumentation.asgi import Scope
    from instrumentation.http.middleware import Listener


@pytest.fixture
def users() -> ActiveUsers:
    counter = ActiveUsers()
    counter.settle(Settings(), {})
    return counter


def shown(users: ActiveUsers) -> int:
    return sum(1 for series in users.collect() if series.slots[0])


def ask(listener: Listener, user: object) -> None:
    listener({"user": user}, ("GET", "/", 200, ""), 0.007)


def the_user(scope: Scope) -> Any:
    return scope["user"]


def test_the_user_of_each_request_is_counted(users: ActiveUsers) -> None:
    listener = seeing_users(the_user, users)
    for user in ("ada", "bob", "ada", 7):
        ask(listener, user)
    assert shown(users) == 3


@pytest.mark.parametrize("nobody", [None, ""])
def test_a_request_without_a_user_is_not_counted(
    users: ActiveUsers, nobody: object, caplog: pytest.LogCaptureFixture
) -> None:
    ask(seeing_users(the_user, users), nobody)
    assert shown(users) == 0
    assert caplog.records == []


def test_an_error_in_the_finder_is_logged_once_without_the_id(
    users: ActiveUsers, caplog: pytest.LogCaptureFixture
) -> None:
    def find(scope: Scope) -> str:
        raise LookupError(f"no user {scope['user']}")

    listener = seeing_users(find, users)
    for _ in range(3):
        ask(listener, "ada")
    assert [record.getMessage() for record in caplog.records] == [
        "sidelight could not count the user of a request because of LookupError; later failures are not logged"
    ]
    assert "ada" not in caplog.text


@pytest.mark.parametrize("error", [SystemExit(7), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
def test_a_finder_that_wants_the_process_to_end_ends_nothing(
    users: ActiveUsers, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def find(scope: Scope) -> str:
        del scope
        raise error

    ask(seeing_users(find, users), "ada")
    assert f"because of {type(error).__name__}" in caplog.text


def test_an_invalid_id_is_logged_and_not_raised(users: ActiveUsers, caplog: pytest.LogCaptureFixture) -> None:
    ask(seeing_users(the_user, users), {"name": "ada"})
    assert "because of InstrumentationError" in caplog.text
    assert "ada" not in caplog.text


async def find_later(scope: Scope) -> str:
    return str(scope)


@pytest.mark.parametrize(("find", "given"), [(find_later, "an async function"), ("user", "str"), (None, "NoneType")])
def test_a_finder_that_cannot_be_called_at_once_is_refused_at_the_start(
    users: ActiveUsers, find: Any, given: str
) -> None:
    with pytest.raises(InstrumentationError) as caught:
        seeing_users(find, users)
    assert str(caught.value) == (
        f"user_id: got {given}; give a plain function of the ASGI scope that returns the id of the user, or None."
    )


@pytest.fixture
def app() -> FastAPI:
    """An app with authentication by a header in a dependency; only the dependency knows ids."""

    async def authenticated(request: Request, x_user: Annotated[str, Header()] = "") -> None:
        request.state.user = x_user or None

    app = FastAPI(dependencies=[Depends(authenticated)])

    @app.get("/orders")
    async def orders() -> None: ...

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("seven")

    @app.get("/health")
    async def health() -> None: ...

    return app


def asked(app: FastAPI, *requests: tuple[str, str]) -> int:
    """How many users the page shows after some requests of (path, user)."""
    store = ProcessStore(lambda: None)
    instrument(
        app,
        settings=Settings(),
        store=store,
        registry=CollectorRegistry(),
        user_id=lambda scope: getattr(Request(scope).state, "user", None),
    )

    async def ask_all() -> str:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            for path, user in requests:
                await client.get(path, headers={"x-user": user})
            return (await client.get("/metrics")).text

    return asyncio.run(ask_all()).count("\nactive_user_register{") - 1  # register 0 is always there


def test_the_users_of_an_app_are_on_its_page(app: FastAPI) -> None:
    assert asked(app, ("/orders", "ada"), ("/orders", "bob"), ("/orders", "ada"), ("/orders", "")) == 2


def test_the_user_of_a_failed_request_is_counted(app: FastAPI) -> None:
    assert asked(app, ("/broken", "ada")) == 1


def test_the_user_of_an_uncounted_request_is_not_counted(app: FastAPI) -> None:
    assert asked(app, ("/orders", "ada"), ("/health", "bob")) == 1


def test_a_key_that_cannot_be_read_stops_the_start(app: FastAPI) -> None:
    settings = parse_settings({"users": {"key_file": "/nowhere"}})
    with pytest.raises(SettingsError, match=r"users\.key_file: /nowhere cannot be read"):
        instrument(app, settings=settings, store=ProcessStore(lambda: None), registry=CollectorRegistry())
