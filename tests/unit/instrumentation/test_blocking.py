"""Nothing that Sidelight does blocks the event loop, from the start of a service to its end, with every feature on."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
import structlog
import uvicorn
from blockbuster import blockbuster
from fastapi import BackgroundTasks, FastAPI, WebSocket
from opentelemetry import trace
from opentelemetry.util._once import Once
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import connect

import instrumentation
from instrumentation import counter, health_check, queue, retry_with_backoff, workflow
from instrumentation.auditing import auditor_of
from instrumentation.auditing.entry import Given
from instrumentation.logs import configure_logging
from instrumentation.settings import Settings, parse_settings
from instrumentation.store.process_store import ProcessStore
from sidelight.toolchain.processes import free_port
from tests.unit.instrumentation.logs.conftest import given_back

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["given_back"]
OURS = str(Path(instrumentation.__file__).parent)
LIBRARY = (sys.base_prefix, "<", str(Path(blockbuster.__file__).parent), __file__)
TOKEN = "a-token-of-a-file"  # noqa: S105 - of this test
ALLOWED = (
    ("os.write", "instrumentation/store/worker_files.py", "publish"),  # a new series' name, once, to a file in memory
    ("os.path.abspath", "structlog/tracebacks.py", "extract"),  # of a path that is absolute already
)


@pytest.fixture(autouse=True)
def own_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the provider of traces to the test: FastAPI wraps every later app if one is left behind."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())


class Calls:
    """Blocking calls by Sidelight's code, even those whose error is caught.

    Attributes:
        found: The function that blocks, and the last functions of Sidelight on the stack.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[str] = []
        self._detector = blockbuster.BlockBuster(instrumentation)
        for function, file, where in ALLOWED:
            self._detector.functions[function].can_block_in(file, where)
        init = blockbuster.BlockingError.__init__

        def noted(error: blockbuster.BlockingError, func: str) -> None:
            init(error, func)
            self._note(func)

        monkeypatch.setattr(blockbuster.BlockingError, "__init__", noted)

    def allow_writes(self, condition: Callable[[], bool]) -> None:
        """Allow writes from the moment on when a condition holds."""
        write = self._detector.functions["os.write"]
        before = write.can_block_predicate
        write.can_block_predicate = lambda *args: condition() or before(*args)

    def __enter__(self) -> Self:
        self._detector.activate()
        return self

    def __exit__(self, *_: object) -> None:
        self._detector.deactivate()

    def _note(self, func: str) -> None:
        frames = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(LIBRARY)]
        if frames[-1].filename.startswith(OURS):
            self.found.append(f"{func} by {' > '.join(frame.name for frame in frames[-3:])}")


@pytest.fixture
def store(tmp_path: Path) -> ProcessStore:
    return ProcessStore(lambda: tmp_path / "store")


@pytest.fixture
def everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SIDELIGHT_AUDIT_KEY", "seven" * 8)
    (tmp_path / "token").write_text(TOKEN)
    return parse_settings(
        {
            "service": {"name": "shop"},
            "metrics": {"token_file": str(tmp_path / "token"), "exemplars": True},
            "http": {"body_sizes": True},
            "audit": {"path": str(tmp_path / "audit.log"), "fsync": "always"},
            "tracing": {"endpoint": "http://127.0.0.1:9"},
            "logging": {"level": "debug", "format": "json"},
            "health": {"cache_seconds": 0.0},
            "signals": [{"name": "orders_placed", "kind": "counter"}],
        }
    )


def service(settings: Settings, store: ProcessStore) -> Any:
    app = FastAPI()
    attempts: list[int] = []

    @retry_with_backoff(initial_delay=0.001, store=store)
    async def unsteady() -> None:
        attempts.append(1)
        if len(attempts) % 2:
            raise ConnectionError

    @app.get("/items/{item}")
    async def item(item: int, tasks: BackgroundTasks) -> None:
        structlog.contextvars.bind_contextvars(item=item)
        structlog.get_logger("shop").info("read", password="hunter2")  # noqa: S106 - it is to be masked
        logging.getLogger("shop").warning("read %s", {"token": "hunter2"})
        await auditor_of(store).write_async(Given("item_read", "joe", "success", {"item": item}))
        await unsteady()
        with workflow("import", store=store) as run:
            run.cost_usd(0.25)
        tasks.add_task(logging.getLogger("shop").info, "afterwards")

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("password=hunter2")

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    async def awaiting() -> int:
        await asyncio.sleep(0)
        return 7

    health_check("database", awaiting, store=store)
    health_check("cache", lambda: None, store=store)
    queue("emails", depth=awaiting, store=store)
    queue("jobs", depth=lambda: 7, store=store)
    registry = CollectorRegistry()
    return instrumentation.instrument(
        app, settings=settings, store=store, registry=registry, user_id=lambda scope: scope["path"]
    )


async def use(app: Any, calls: Calls) -> list[int]:
    """The status of each request; the server runs on this loop, from its start to its end."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, ws="websockets-sansio"))
    calls.allow_writes(lambda: server.should_exit)  # the last lines are written at once: uvicorn ends by a signal
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        instrumentation.instrument_client(client)
        with calls:
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.005)
            statuses = []
            for _ in range(2):  # a new series and a known one
                for path in ("/items/31?token=hunter2", "/broken", "/nope", "/health", "/ready", "/metrics"):
                    answer = await client.get(path, headers={"authorization": f"Bearer {TOKEN}"})
                    statuses.append(answer.status_code)
            statuses.append((await client.get("/metrics")).status_code)
            async with connect(f"ws://127.0.0.1:{port}/talk", proxy=None) as socket:
                await socket.wait_closed()
            server.should_exit = True
            await serving
    return statuses


def test_no_blocking_call_of_ours_is_made_on_the_event_loop(
    everything: Settings, store: ProcessStore, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's, which write to files
    configure_logging(everything, store=store)
    orders = counter("orders_placed", settings=everything, store=store)  # so that this file is read at the start
    monkeypatch.setattr(sys.modules[__name__], "ORDERS", orders, raising=False)
    calls = Calls(monkeypatch)
    statuses = asyncio.run(use(service(everything, store), calls))
    assert statuses == [200, 500, 404, 200, 200, 200] * 2 + [401]
    assert calls.found == []
    assert "hunter2" not in capfd.readouterr().out
