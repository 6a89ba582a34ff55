"""``python -m benchmarks.programs``: builds and starts collectors, prints the table and writes the documentation page."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import machine
from collector import generated
from collector.manifest import PROGRAM, VERSION
from instrumentation.settings import parse_settings
from sidelight.toolchain import Toolbox
from tests.support.collectors import running
from tests.support.console import say
from tests.support.tables import Column, Table

if TYPE_CHECKING:
    from tests.support.tables import Row

PAGE = Path(__file__).parents[2] / "docs/reference/collector-size.md"
HEAD = f"""\
# Collector size and start-up time

<!-- Written by `python -m benchmarks.programs`; change the code it is made from, not this page. -->

OpenTelemetry's builder builds each binary from the components that `collector/generated/builder.yaml` lists for these settings.
*Ready* means that the sidecar with the generated configuration answers its health check; the table shows the median of
several starts. The contrib distribution, which can run the same files, is not included: it is only available as an image or
a release archive, and version {VERSION} has over two hundred components."""
SETTINGS = {
    "`collector.metrics: scrape`": {},
    "`otlp` or `remote_write`": {"collector": {"metrics": "remote_write"}},
    "the same, and `collector.gateways`": {"collector": {"metrics": "remote_write", "gateways": "gateways.example"}},
}
_STARTS = 7
_SECONDS = 1800.0


def main() -> None:
    """Build and start, in a few minutes with warm caches; without ``--output``, the documentation page is replaced."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.programs", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write; by default the documentation's")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        builder = _builder(Path(name))
        rows = tuple(_row(settings, builder, Path(name) / str(number)) for number, settings in enumerate(SETTINGS))
    table = Table(
        name="programs",
        title="Size and start",
        columns=(
            Column(key="settings", title="settings"),
            Column(key="components", title="components", digits=0),
            Column(key="size", title="MB", digits=1),
            Column(key="ready", title="ms until ready", digits=0),
        ),
        rows=rows,
    )
    say(f"{table.as_text()}\n")
    options.output.write_text(f"{HEAD}\n\n{table.as_markdown()}\n\n{machine.section()}\n")


def _environ(folder: Path) -> dict[str, str]:
    go = Toolbox().tool("go")
    path = f"{go.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "GOBIN": str(folder),
        "PATH": path,
    }


def _builder(folder: Path) -> Path:
    toolbox, module = Toolbox(), f"go.opentelemetry.io/collector/cmd/builder@v{VERSION}"
    toolbox.network(str(toolbox.tool("go")), "install", module, timeout=_SECONDS, cwd=folder, environ=_environ(folder))
    return folder / "builder"


def _row(settings: str, builder: Path, folder: Path) -> Row:
    folder.mkdir()
    manifest = generated(parse_settings(SETTINGS[settings]))["builder.yaml"]
    (folder / "builder.yaml").write_text(manifest)
    Toolbox().network(str(builder), "--config", "builder.yaml", timeout=_SECONDS, cwd=folder, environ=_environ(folder))
    program = folder / "build" / PROGRAM
    return {
        "settings": settings,
        "components": manifest.count("gomod:") - 2,  # without the two providers that read the configuration
        "size": program.stat().st_size / 1e6,
        "ready": 1000 * median(_start(program, folder / f"start-{number}") for number in range(_STARTS)),
    }


def _start(program: Path, folder: Path) -> float:
    began = time.perf_counter()
    with running("sidecar", folder, "http://127.0.0.1:1", program=program):
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
