"""The page "Your first own signal in ten minutes" does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sidelight.toolchain import processes

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/first-signal.md"
BIN = Path(sys.executable).parent
_BLOCK = re.compile(r"(?:Save this as `(?P<name>[\w.]+)`:\n\n)?```(?P<kind>\w+)[^\n]*\n(?P<text>.*?)```", re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(BIN.parent)
    blocks = [*_BLOCK.finditer(PAGE.read_text())]
    for block in blocks:
        if block["name"]:
            (tmp_path / block["name"]).write_text(block["text"])
    commands = [found for block in blocks if block["kind"] == "console" for found in _COMMAND.findall(block["text"])]
    started, *rest = commands
    assert started == (".venv/bin/uvicorn main:app --port 8000", "")
    log = tmp_path / "service.log"
    with processes.uvicorn("main:app", log=log, env={}, cwd=tmp_path) as service:
        for command, expected in rest:
            assert run(command.replace("localhost:8000", service.url.removeprefix("http://")), tmp_path) == expected, (
                command
            )
    [said] = [block["text"].strip() for block in blocks if block["kind"] == "text"]
    assert said in log.read_text()


def run(command: str, folder: Path) -> str:
    """What a command prints, as the page shows it: nothing where the page shows nothing."""
    env = {**os.environ, "SIDELIGHT_CONFIG": "", "NO_PROXY": "*"}
    ended = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=120, check=False, env=env
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    is_shown = "grep" in command or "tail" in command
    return ended.stdout if is_shown else ""
