"""``python -m sidelight.view.bundle``: builds the page from its TypeScript with the pinned npm packages."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from sidelight.toolchain import Toolbox, node_modules, tool
from sidelight.view.assets import FOLDER

SOURCE = Path(__file__).parent / "page"
PLOTTING = "1.6.32"  # the version of uPlot; @grafana/ui, which is pinned, brings it
SECONDS = 120.0

_PROGRAM = """\
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
const { version } = JSON.parse(readFileSync('node_modules/uplot/package.json', 'utf8'));
if (version !== process.argv[2]) throw new Error(`uPlot ${version} is installed, not ${process.argv[2]}`);
const license = readFileSync('node_modules/uplot/LICENSE', 'utf8').trim();
await build({
  entryPoints: { view: 'main.ts' }, outdir: 'built', bundle: true, minify: true, format: 'esm', target: 'es2022', charset: 'utf8', logLevel: 'error',
  legalComments: 'none', banner: { js: `/*! uPlot ${version}\\n${license}\\n*/` },
});
await build({ entryPoints: ['view.css'], outdir: 'built', bundle: true, minify: true, charset: 'utf8', logLevel: 'error' });
"""


def bundled() -> dict[str, str]:
    """The built files by name; equal sources give equal files.

    Raises:
        ToolError: node or its packages are not available, or the sources do not compile.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "page"
        shutil.copytree(SOURCE, folder)
        (folder / "node_modules").symlink_to(node_modules())
        (folder / "bundle.mjs").write_text(_PROGRAM)
        toolbox = Toolbox()
        toolbox.command(str(tool("tsc")), "--pretty", "false", "-p", ".", timeout=SECONDS, cwd=folder)
        toolbox.command(str(tool("node")), "bundle.mjs", PLOTTING, timeout=SECONDS, cwd=folder)
        made = {path.name: path.read_text("utf-8") for path in sorted((folder / "built").iterdir())}
        return {**made, "index.html": (folder / "index.html").read_text("utf-8")}


def main() -> None:
    """Write the built files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in bundled().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
