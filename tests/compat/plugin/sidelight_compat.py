"""A plugin of pytest that instruments every app of another project's tests, and writes the outcome of each test.

``SIDELIGHT_COMPAT_LAYER`` is ``python`` or ``compiled``; without it nothing is instrumented. ``SIDELIGHT_COMPAT_SETTINGS`` has
sections, as JSON, that replace those of the settings. ``SIDELIGHT_COMPAT_OUTCOMES`` is the file that gets the outcomes, and those of failed tests with the last line of the
failure.
"""

from __future__ import annotations

import json
import os
import sys
from functools import wraps
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import active_children
from pathlib import Path
from threading import Thread
from typing import Any

LAYER = os.environ.get("SIDELIGHT_COMPAT_LAYER")
OUTCOMES = Path(os.environ["SIDELIGHT_COMPAT_OUTCOMES"])

_outcomes: dict[str, str] = {}
_failures: dict[str, str] = {}


def pytest_configure() -> None:
    """Instrument apps before any test is imported."""
    if LAYER is None:
        return
    if LAYER == "python":
        sys.modules["_sidelight_speedups"] = None  # type: ignore[assignment]
    instrument = import_module("instrumentation").instrument
    settings = import_module("instrumentation.settings").parse_settings(
        {
            "service": {"name": "compat"},
            "logging": {"enabled": True, "access": True, "correlation_id": True},
            "http": {"body_sizes": True},
            "tracing": {"endpoint": f"http://127.0.0.1:{collector()}"},
            **json.loads(os.environ["SIDELIGHT_COMPAT_SETTINGS"]),
        }
    )

    def observe(app: Any) -> Any:
        return instrument(app, settings=settings)

    for module, name in (("starlette.applications", "Starlette"), ("fastapi", "FastAPI")):
        if find_spec(module.partition(".")[0]) is not None:
            after(getattr(import_module(module), name), observe)
    if os.environ["SIDELIGHT_COMPAT_SUITE"] == "uvicorn":
        serve(import_module("uvicorn").Config, observe)


class Accepting(BaseHTTPRequestHandler):
    """Accepts every span, as a collector does."""

    def do_POST(self) -> None:
        """Answer with an empty response."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def collector() -> int:
    """The port of a stand-in for the collector; without one, each app that ends would wait for it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Accepting)
    Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def serve(kind: Any, observe: Any) -> None:
    """Instrument each app that uvicorn serves; its tests have apps without a framework."""
    load = kind.load

    @wraps(load)
    def loading(self: Any) -> None:
        load(self)
        if self.interface == "asgi3":
            self.loaded_app = observe(self.loaded_app)

    kind.load = loading


def after(kind: Any, observe: Any) -> None:
    """Instrument each app of a class as soon as it is made; one of a subclass that has its own ``__init__`` within that."""
    original = kind.__init__

    @wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        observe(self)

    kind.__init__ = init


def pytest_runtest_logreport(report: Any) -> None:
    """Remember the outcome of a test: its call, or what went wrong before or after it."""
    if report.when == "call" or report.outcome != "passed":
        outcome = "xfailed" if hasattr(report, "wasxfail") and report.outcome == "skipped" else report.outcome
        if _outcomes.get(report.nodeid) != "failed":
            _outcomes[report.nodeid] = outcome
        if outcome == "failed":
            text = getattr(report, "longreprtext", "")
            _failures[report.nodeid] = next((line for line in text.splitlines() if line.startswith("E  ")), "")[:300]


def pytest_collectreport(report: Any) -> None:
    """A file that cannot be imported is a failure too."""
    if report.outcome == "failed":
        _outcomes[report.nodeid] = "failed"
        _failures[report.nodeid] = report.longreprtext.strip().splitlines()[-1][:300]


def pytest_sessionfinish() -> None:
    """Write the outcomes, and end what failed tests have left: Python would wait for these processes."""
    for child in active_children():
        child.kill()
    OUTCOMES.write_text(json.dumps({"outcomes": _outcomes, "failures": _failures}))
