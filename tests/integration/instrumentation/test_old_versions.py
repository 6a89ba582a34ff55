"""The request path with the oldest supported FastAPI and Starlette."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
OLDEST = {"fastapi": "0.115.6", "starlette": "0.41.3"}
NEEDED = ("httpx", "hypothesis", "prometheus-client", "pydantic", "pytest", "pyyaml", "stamina", "structlog")
CASES = ("test_http.py", "test_behaviours.py", "test_websocket.py")


def test_every_case_holds_on_the_oldest_versions(tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python"
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    pins = (ROOT / "requirements/constraints.txt").read_text().splitlines()
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("\n".join(pin for pin in pins if pin.partition("==")[0] not in OLDEST))
    wanted = (*NEEDED, *(f"{name}=={version}" for name, version in OLDEST.items()))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--constraint", constraints, *wanted)
    cases = [ROOT / "tests/unit/instrumentation" / name for name in CASES]
    ended = run(python, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ROOT, "--import-mode=importlib", "-o",
                f"pythonpath={ROOT}", "-p", "no:cacheprovider", "--noconftest", *cases)  # fmt: skip
    assert " passed" in ended
    assert run(python, "-c", "import fastapi; print(fastapi.__version__)").strip() == OLDEST["fastapi"]


def run(*argv: object) -> str:
    ended = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
