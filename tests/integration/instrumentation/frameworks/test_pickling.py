"""An instrumented FastAPI app survives cloudpickle, with which Ray Serve sends it to another process."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.integration.instrumentation.frameworks.environments import ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = {"fastapi": "0.165.0", "starlette": "1.10.0", "cloudpickle": "3.1.2", "httpx": "0.28.1"}

# Ray registers as much: Starlette's State, with its __getattr__, cannot be unpickled.
PREPARED = """
import copyreg, pathlib, sys
from starlette.datastructures import State
copyreg.pickle(State, lambda state: (State, (state._state,)))
"""
SENDING = (
    PREPARED
    + """
import cloudpickle
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
import instrumentation
app = FastAPI()
instrumentation.instrument(app, user_id=lambda scope: None)
def copying(app):
    return lambda scope, receive, send: app(dict(scope), receive, send)
app.add_middleware(copying)
app.mount("/static", StaticFiles(directory="."))
@app.get("/items/{item}")
def item(item: int) -> int:
    return item
if sys.argv[2] == "served":
    app.middleware_stack = app.build_middleware_stack()
pathlib.Path(sys.argv[1]).write_bytes(cloudpickle.dumps(app))
"""
)
RECEIVING = (
    PREPARED
    + """
import asyncio, pickle
import httpx
app = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
async def asked():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        assert (await client.get("/items/7")).text == "7"
        print((await client.get("/metrics")).text)
asyncio.run(asked())
print(type(app).__module__, type(app).__name__)
"""
)
COUNTED = (
    'http_server_request_duration_seconds_count{error_type="",http_request_method="GET",'
    'http_response_status_code="200",http_route="/items/{item}"} 1.0'
)


def test_an_app_that_was_sent_counts_in_the_process_that_got_it(tmp_path: Path) -> None:
    for state in ("new", "served"):
        run(SENDING, tmp_path / "app", state)
        shown = run(RECEIVING, tmp_path / "app", state)
        assert COUNTED in shown
        assert shown.splitlines()[-1] == "fastapi.applications FastAPI"


def run(source: str, *arguments: object) -> str:
    argv = [environment(VERSIONS) / "python", "-c", source, *map(str, arguments)]
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    ended = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
