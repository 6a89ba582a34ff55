"""Runs a program in a real Chromium, against pages on loopback or in files."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from sidelight.toolchain import node_modules, run_command, tool
from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 400.0

_PROGRAM = """\
import {{ readFileSync, writeFileSync }} from 'node:fs';
import {{ chromium as browsers }} from 'playwright-core';

process.env.AWS_LAMBDA_JS_RUNTIME = `nodejs${{process.versions.node.split('.')[0]}}.x`; // the package brings its libraries too
const {{ default: chromium }} = await import('@sparticuz/chromium');
const given = JSON.parse(readFileSync('given.json', 'utf8'));
const executablePath = await chromium.executablePath();
writeFileSync('fonts.conf', `<fontconfig><dir>${{process.env.TMPDIR}}/fonts</dir><cachedir>${{process.env.TMPDIR}}/fonts/cache</cachedir></fontconfig>`);
const browser = await browsers.launch({{
  executablePath, env: {{ ...process.env, FONTCONFIG_FILE: `${{process.cwd()}}/fonts.conf` }},
  args: ['--no-sandbox', '--no-zygote', '--disable-gpu', '--font-render-hinting=none'],
}});
const faults = [];
async function open(address, {{ width = 1280, height = 900, ...more }} = {{}}) {{
  const context = await browser.newContext({{ viewport: {{ width, height }}, locale: 'en-US', timezoneId: 'UTC', ...more }});
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.goto(address);
  return page;
}}
const result = await (async () => {{
{program}
}})();
await browser.close();
console.log(JSON.stringify({{ result: result ?? null, faults }}));
"""


def browse(folder: Path, program: str, given: object = None) -> Any:
    """Run the body of an asynchronous JavaScript function and return its result.

    The program has ``browser``, ``given`` and ``open(address, options)``, which returns a page of playwright. An error in a
    page's console, for example about its Content-Security-Policy, fails the run.

    Args:
        folder: An empty folder.
        program: JavaScript.
        given: JSON for the program.

    Raises:
        MeasurementError: The program fails, or a page reports an error.
    """
    (folder / "node_modules").symlink_to(node_modules())
    (folder / "given.json").write_text(json.dumps(given))
    (folder / "program.mjs").write_text(_PROGRAM.format(program=program))
    environ = {**os.environ, "TMPDIR": str(folder)}  # the folder in which the browser is unpacked
    done = run_command([str(tool("node")), "program.mjs"], timeout=SECONDS, cwd=folder, environ=environ)
    if done.status:
        raise MeasurementError(f"node program.mjs: {done.output.strip()}", code="browser_failed")
    answer = json.loads(done.output.splitlines()[-1])
    if answer["faults"]:
        raise MeasurementError(f"the browser reports: {answer['faults']}", code="browser_faults")
    return answer["result"]
