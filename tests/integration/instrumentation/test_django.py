"""Sidelight's pages in a Django service, in a separate environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DJANGO = "5.2.19"
NEEDED = ("httpx", "prometheus-client", "pydantic", "pyyaml", "stamina", "structlog")

SERVICE = """
import asyncio, json, sys
import httpx
from django.conf import settings

settings.configure(ALLOWED_HOSTS=["shop"], ROOT_URLCONF=__name__, MIDDLEWARE=["django.middleware.common.CommonMiddleware"])

from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

urlpatterns = [
    path("health", lambda request: HttpResponse("db down", status=503)),
    path("metrics/", lambda request: HttpResponse("# HELP cups Cups.\\n# TYPE cups gauge\\ncups 7.0\\n", content_type="text/plain")),
]

import instrumentation

app = get_asgi_application()
if sys.argv[1] == "instrumented":
    app = instrumentation.instrument(app)


async def ask():
    for host in ("10.0.0.7", "shop"):  # probes use the IP address, which is not in ALLOWED_HOSTS
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", follow_redirects=True) as client:
            for page in ("/health", "/ready", "/metrics"):
                answer = await client.get(page)
                print("answer", json.dumps([host, page, answer.status_code, "cups 7" in answer.text, "target_info" in answer.text]))


asyncio.run(ask())
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("django")
    python = folder / "venv/bin/python"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    constraints = ROOT / "requirements/constraints.txt"
    wanted = (*NEEDED, f"django=={DJANGO}")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--constraint", constraints, *wanted)
    return python


def test_django_keeps_its_pages_and_sidelight_answers_the_others(python: Path) -> None:
    plain, instrumented = (asked(python, how) for how in ("plain", "instrumented"))
    assert plain["shop", "/health"] == instrumented["shop", "/health"] == (503, False, False)
    assert plain["shop", "/ready"] == (404, False, False)
    assert instrumented["shop", "/ready"] == instrumented["10.0.0.7", "/ready"] == (200, False, False)
    assert plain["shop", "/metrics"] == (200, True, False)
    assert instrumented["shop", "/metrics"] == (200, True, True)


def test_one_line_lists_who_answers_which_page(python: Path) -> None:
    lines = [json.loads(line) for line in output(python, "instrumented") if line.startswith("{")]
    (said,) = [line["event"] for line in lines if line["logger"] == "instrumentation" and "answers" in line["event"]]
    assert said.startswith("Sidelight answers no page; the app answers /metrics, /health, /ready (status 400) (see")


def asked(python: Path, how: str) -> dict[tuple[str, str], tuple[int, bool, bool]]:
    """Host and page to the status, and whether the app's metrics and ours are there."""
    rows = [json.loads(line.removeprefix("answer ")) for line in output(python, how) if line.startswith("answer ")]
    return {(host, page): (status, theirs, ours) for host, page, status, theirs, ours in rows}


def output(python: Path, how: str) -> list[str]:
    return run(python, "-c", SERVICE, how).splitlines()


def run(*argv: object) -> str:
    ended = subprocess.run(list(map(str, argv)), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
