"""The page, in a real Chromium, draws what a real Prometheus says about the phases of the demo."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation.settings import load_settings
from instrumentation.settings.duration import Duration
from sidelight.demo.scenario import PHASES
from sidelight.toolchain import processes
from sidelight.view.boards import Boards
from tests.support.demo_history import END, PHASE, SCRAPE, START, demo_history
from tests.support.pictures.browser import browse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import httpx

    from sidelight.view.boards import Board

SETTINGS = "budget: {daily_usd: 7.0}\n"  # with it there is every panel
FILLED = {
    "$__range": f"{END - START}s",
    "$cluster": ".*",
    "$namespace": ".*",
    "$environment": ".*",
    "$job": ".+",
    "$instance": ".+",
    "$route": ".*",
}
RANGE = f"from={START}000&to={END}000"
WIDTHS = (400, 768, 1280, 2560)

# Opens a dashboard with all of its rows, in a window in which every panel is visible.
OPEN = """
async function opened(address, options = {}) {
  const page = await open(address, { height: 24000, ...options });
  await page.waitForSelector('.panel');
  await page.locator('.row > h2 > button[aria-expanded="false"]').evaluateAll((rows) => rows.forEach((row) => row.click()));
  await page.waitForFunction(() => [...document.querySelectorAll('.panel')].every((panel) => ['ready', 'empty', 'error'].includes(panel.dataset.state)));
  return page;
}
"""
# What every panel says: its state, notes, and the numbers that it draws.
READ = """
async function read(page) {
  await page.evaluate(() => document.querySelectorAll('.panel .about button').forEach((button) => button.click()));
  await page.waitForFunction(() => [...document.querySelectorAll('.panel[data-state="ready"]')].every((panel) => panel.querySelector('table')));
  return page.evaluate(() => [...document.querySelectorAll('.panel')].map((panel) => ({
    id: Number(panel.dataset.panel), state: panel.dataset.state,
    said: [...panel.querySelectorAll('.notes li, .error')].map((each) => each.textContent),
    headings: [...panel.querySelectorAll('thead th')].map((each) => each.textContent),
    lines: [...panel.querySelectorAll('tbody tr')].map((line) => ({
      time: Number(line.dataset.time), cells: [...line.querySelectorAll('td')].map((cell) => ({ text: cell.textContent, value: cell.dataset.value ?? null })),
    })),
  })));
}
"""


@dataclass(frozen=True)
class Viewed:
    """The page and the Prometheus that it reads."""

    url: str
    prometheus: httpx.Client
    settings: Path

    @property
    def boards(self) -> Boards:
        return Boards(load_settings(self.settings))

    def address(self, board: Board, more: str = "") -> str:
        return f"{self.url}/d/{board.uid}?{RANGE}{more}"


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    folder = tmp_path_factory.mktemp("viewed")
    settings = folder / "sidelight.yaml"
    settings.write_text(SETTINGS)
    history = demo_history(folder, load_settings(settings))
    with history.running() as prometheus:
        port = processes.free_port()
        url = f"http://127.0.0.1:{port}"
        argv = (sys.executable, "-c", "from sidelight.cli import main; main()", "view", "--config", settings)
        where = ("--prometheus", str(prometheus.base_url), "--port", str(port))
        with processes.start((*argv, *where), log=folder / "view.log", ready=f"{url}/api/dashboards", url=url):
            yield Viewed(url, prometheus, settings)


def answer(viewed: Viewed, target: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What Prometheus says to a query, with the variables filled in by hand."""
    expression, step = target["expr"], Duration(target.get("interval", "")).seconds or SCRAPE
    for name, value in {**FILLED, "$__rate_interval": f"{4 * step}s", "$__interval": f"{step}s"}.items():
        expression = expression.replace(name, value)
    if target["instant"]:
        found = viewed.prometheus.get("/api/v1/query", params={"query": expression, "time": END})
    else:
        times = {"start": END - (END - START) // step * step, "end": END, "step": step}
        found = viewed.prometheus.get("/api/v1/query_range", params={"query": expression, **times})
    result: list[dict[str, Any]] = found.raise_for_status().json()["data"]["result"]
    return result


def number(text: str | None) -> float | None:
    value = None if text is None else float(text.replace("Infinity", "inf"))
    return None if value is None or isnan(value) else value


@pytest.fixture(scope="module")
def drawn(viewed: Viewed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    addresses = {board.uid: viewed.address(board) for board in viewed.boards}
    program = f"""{OPEN}{READ}
    const found = {{}};
    for (const [uid, address] of Object.entries(given)) found[uid] = await read(await opened(address));
    return found;
    """
    found: dict[str, Any] = browse(tmp_path_factory.mktemp("browser"), program, addresses)
    return found


def boards() -> list[str]:
    return ["sidelight-fleet", "sidelight-operations", "sidelight-business"]


@pytest.mark.parametrize("uid", boards())
def test_every_panel_is_drawn_and_nothing_is_amiss(viewed: Viewed, drawn: dict[str, Any], uid: str) -> None:
    assert {panel["id"] for panel in drawn[uid]} == set(viewed.boards.board(uid).panels)
    titles = {number: panel["title"] for number, panel in viewed.boards.board(uid).panels.items()}
    assert {titles[panel["id"]]: panel["said"] for panel in drawn[uid] if panel["said"]} == {}
    silent = {titles[panel["id"]] for panel in drawn[uid] if panel["state"] == "empty"}
    empty = {
        panel["title"]
        for panel in viewed.boards.board(uid).panels.values()
        # The history is older than today.
        if panel.get("timeFrom") or not any(answer(viewed, target) for target in panel["targets"])
    }
    assert silent == empty
    assert len(empty) < len(titles) / 4


@pytest.mark.parametrize("uid", boards())
def test_every_graph_and_value_is_what_prometheus_says(viewed: Viewed, drawn: dict[str, Any], uid: str) -> None:
    compared = 0
    for panel in drawn[uid]:
        document = viewed.boards.board(uid).panel(panel["id"])
        if document["type"] in {"table", "heatmap"} or document.get("timeFrom"):
            continue
        expected = [
            {at * 1000: number(value) for at, value in series.get("values") or [series["value"]]}
            for target in document["targets"]
            for series in answer(viewed, target)
        ]
        columns: list[dict[int, float | None]] = [{} for _ in panel["headings"][1:]]
        for line in panel["lines"]:
            for column, cell in zip(columns, line["cells"], strict=True):
                column[line["time"]] = number(cell["value"])
        shown = [{at: value for at, value in column.items() if value is not None} for column in columns]
        wanted = [{at: value for at, value in series.items() if value is not None} for series in expected]
        assert len(shown) == len(wanted), document["title"]
        for mine, theirs in zip(shown, wanted, strict=True):
            assert mine == pytest.approx(theirs), document["title"]
            compared += len(theirs)
    assert compared > 20


@pytest.mark.parametrize("uid", ["sidelight-fleet", "sidelight-operations"])
def test_every_number_of_a_table_is_what_prometheus_says(viewed: Viewed, drawn: dict[str, Any], uid: str) -> None:
    tables = [panel for panel in drawn[uid] if viewed.boards.board(uid).panel(panel["id"])["type"] == "table"]
    assert tables
    for panel in tables:
        document = viewed.boards.board(uid).panel(panel["id"])
        found = [series for target in document["targets"] for series in answer(viewed, target)]
        texts = [cell for line in panel["lines"] for cell in line["cells"]]
        shown = sorted(float(cell["value"]) for cell in texts if cell["value"] is not None)
        if shown:
            assert shown == pytest.approx(sorted(float(series["value"][1]) for series in found)), document["title"]
        jobs = {series["metric"]["job"] for series in found}
        assert jobs <= {cell["text"] for cell in texts}, document["title"]


def test_a_heatmap_shows_how_many_requests_were_in_each_bucket(viewed: Viewed, drawn: dict[str, Any]) -> None:
    board = viewed.boards.board("sidelight-operations")
    (panel,) = (each for each in drawn[board.uid] if board.panel(each["id"])["type"] == "heatmap")
    assert panel["headings"] == ["Time", "0.1", "0.5", "1.0", "2.5", "+Inf"]
    slow = next(index for index, phase in enumerate(PHASES) if phase.latency_seconds > 1)
    inside = {(START + slow * PHASE + seconds) * 1000 for seconds in range(75, PHASE, SCRAPE)}
    for line in panel["lines"]:
        if line["time"] in inside:
            values = [number(cell["value"]) or 0 for cell in line["cells"]]
            assert values[3] == max(values) > 0  # 1.35 s is between 1 and 2.5 s
            assert values[:3] == [0, 0, 0]


# --- On a screen -----------------------------------------------------------------------------------------------------


def test_it_can_be_read_from_a_phone_to_a_large_screen_in_light_and_dark(viewed: Viewed, tmp_path: Path) -> None:
    """Nothing is wider than the screen, no title is lost, and text has a contrast of at least 4.5 (WCAG 2.2, AA)."""
    program = f"""{OPEN}
    const found = [];
    for (const address of given.addresses) {{
     const page = address.includes('/d/') ? await opened(address, {{ width: given.widths[0] }}) : await open(address);
     await page.waitForSelector('h1');
     for (const width of given.widths) for (const colorScheme of ['light', 'dark']) {{
      await page.setViewportSize({{ width, height: 24000 }});
      await page.emulateMedia({{ colorScheme }});
      await page.waitForFunction((theme) => document.documentElement.dataset.theme === theme, colorScheme);
      await page.waitForFunction(() => [...document.querySelectorAll('.plot')].every((plot) => plot.clientWidth === plot.querySelector('.uplot').clientWidth));
      found.push(...(await page.evaluate(() => {{
        const faults = [];
        if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${{document.documentElement.scrollWidth}} wide`);
        for (const title of document.querySelectorAll('.panel h3')) {{
          if (title.offsetParent && title.scrollWidth > title.clientWidth) faults.push(`the title ${{title.textContent}} is cut off`);
        }}
        for (const plot of document.querySelectorAll('.plot')) if (plot.clientHeight < 80) faults.push(`a graph is ${{plot.clientHeight}} high`);
        const parsed = (color) => color.match(/[\\d.]+/g).map(Number);
        const light = (color) => {{ const [red, green, blue] = color.map((part) => {{ const share = part / 255; return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4; }}); return 0.2126 * red + 0.7152 * green + 0.0722 * blue; }};
        const behind = (element) => {{ for (let each = element; each; each = each.parentElement) {{ const color = parsed(getComputedStyle(each).backgroundColor); if (color.length === 3 || color[3] === 1) return color.slice(0, 3); }} return [255, 255, 255]; }};
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {{
          const element = node.parentElement;
          if (!node.textContent.trim() || !element.checkVisibility() || element.closest('.visually-hidden, .tooltip, .skip, script, noscript, :disabled')) continue;
          const [text, ground] = [light(parsed(getComputedStyle(element).color).slice(0, 3)), light(behind(element))];
          const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
          if (contrast < 4.5) faults.push(`${{node.textContent.trim().slice(0, 30)}}: contrast ${{contrast.toFixed(1)}}`);
        }}
        return [...new Set(faults)];
      }})).map((fault) => `${{address}} at ${{width}}, ${{colorScheme}}: ${{fault}}`));
     }}
     await page.context().close();
    }}
    return found;
    """
    addresses = [viewed.address(board) for board in viewed.boards] + [f"{viewed.url}/alerts", f"{viewed.url}/services"]
    assert browse(tmp_path, program, {"widths": WIDTHS, "addresses": addresses}) == []


def test_it_can_be_used_with_the_keyboard_and_heard(viewed: Viewed, tmp_path: Path) -> None:
    board = viewed.boards.board("sidelight-operations")
    program = f"""{OPEN}
    const page = await opened(given);
    const found = {{}};
    const spoken = async (press) => {{
      const before = await page.textContent('#live');
      await press();
      await page.waitForFunction((text) => document.getElementById('live').textContent !== text, before);
      return page.textContent('#live');
    }};
    await page.keyboard.press('Tab');
    found.first = await page.evaluate(() => document.activeElement.textContent);
    await page.keyboard.press('Enter');
    found.skipped = await page.evaluate(() => document.activeElement.id);
    const graph = page.locator('.panel', {{ has: page.locator('h3:text-is("Error ratio")') }}).locator('.plot');
    await graph.focus();
    found.graph = await graph.getAttribute('aria-label');
    found.end = await spoken(() => page.keyboard.press('End'));
    found.before = await spoken(() => page.keyboard.press('ArrowLeft'));
    found.tooltip = await graph.locator('.tooltip').textContent();
    await page.keyboard.press('Escape');
    found.closed = await graph.locator('.tooltip').isHidden();
    const row = page.locator('.row > h2 > button').first();
    await row.focus();
    await page.keyboard.press('Enter');
    found.row = await row.getAttribute('aria-expanded');
    const variable = page.locator('[data-variable="job"] > summary');
    await variable.focus();
    await page.keyboard.press('Enter');
    await page.locator('[data-variable="job"] input[value="shop"]').focus();
    await page.keyboard.press('Space');
    await page.waitForURL(/var-job=shop/);
    await page.waitForFunction(() => document.querySelector('[data-variable="job"] > summary').textContent === 'Job: shop');
    found.kept = await page.evaluate(() => document.activeElement.value);
    await page.keyboard.press('Escape');
    found.menu = await page.evaluate(() => [document.activeElement.tagName, document.activeElement.parentElement.open]);
    found.nameless = await page.evaluate(() => [...document.querySelectorAll('button, a, input, select, summary, [tabindex="0"]')].filter((each) =>
      !(each.textContent.trim() || each.getAttribute('aria-label') || each.title || each.labels?.length)).map((each) => each.outerHTML.slice(0, 200)));
    found.levels = await page.evaluate(() => [...document.querySelectorAll('h1, h2, h3')].map((each) => Number(each.tagName[1])));
    return found;
    """
    found = browse(tmp_path, program, viewed.address(board))
    assert found["first"] == "Skip to the content"
    assert found["skipped"] == "main"
    assert found["graph"].startswith("Error ratio. Last values: shop: 0%.")
    assert "shop: 0%" in found["end"]
    assert "DeploymentCompleted" not in found["end"]
    assert found["before"] != found["end"]
    assert "shop" in found["tooltip"]
    assert found["closed"]
    assert found["row"] == "false"
    assert found["kept"] == "shop"
    assert found["menu"] == ["SUMMARY", False]
    assert found["nameless"] == []
    assert found["levels"][0] == 1
    assert all(after - before <= 1 for before, after in zip(found["levels"], found["levels"][1:], strict=False))


def test_threshold_lines_annotations_and_series_are_painted(viewed: Viewed, tmp_path: Path) -> None:
    """Pixels have the colours of the thresholds and of the curve, and the tooltip names the alert that fired."""
    board = viewed.boards.board("sidelight-operations")
    program = f"""{OPEN}
    const page = await opened(given.address, {{ colorScheme: 'dark' }});
    const graph = page.locator('.panel', {{ has: page.locator('h3:text-is("Error ratio")') }}).locator('.plot');
    const colors = await graph.locator('canvas').evaluate((canvas, colors) => {{
      const {{ data, width, height }} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const rows = {{}};
      for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) {{
        const at = (y * width + x) * 4;
        if (data[at + 3] < 200) continue; // a shade
        const color = Object.keys(colors).find((name) => colors[name].every((part, index) => Math.abs(part - data[at + index]) < 40));
        if (color) ((rows[color] ??= {{}})[y] = (rows[color][y] ?? 0) + 1);
      }}
      return {{ width, height, rows }};
    }}, given.colors);
    const box = await graph.locator('.u-over').boundingBox();
    await page.mouse.move(box.x + box.width * given.share, box.y + box.height / 2);
    await graph.locator('.tooltip:not([hidden])').waitFor();
    return {{ colors, tooltip: await graph.locator('.tooltip').innerText() }};
    """
    failing = next(index for index, phase in enumerate(PHASES) if phase.error_ratio > 0.05)
    share = (failing + 0.8) / len(PHASES)
    colors = {"yellow": (250, 222, 42), "red": (255, 107, 125), "green": (115, 191, 105)}
    found = browse(tmp_path, program, {"address": viewed.address(board), "share": share, "colors": colors})
    rows = {color: {int(y): number for y, number in each.items()} for color, each in found["colors"]["rows"].items()}
    wide = found["colors"]["width"] / 3  # a line is dashed, from edge to edge
    critical, warning = (min(y for y, number in rows[color].items() if number > wide) for color in ("red", "yellow"))
    assert min(rows["green"]) < critical < warning  # the curve rises above 5 %, which is above 1 %
    assert "HighErrorRate (critical)" in found["tooltip"]
    assert "8%" in found["tooltip"]


def test_variables_time_range_and_zoom_are_in_the_address(viewed: Viewed, tmp_path: Path) -> None:
    board = viewed.boards.board("sidelight-operations")
    program = f"""{OPEN}
    const page = await opened(given);
    const found = {{ links: await page.locator('nav.links a').evaluateAll((all) => all.map((each) => each.getAttribute('href'))) }};
    const graph = page.locator('.panel', {{ has: page.locator('h3:text-is("Request rate")') }}).locator('.u-over');
    const box = await graph.boundingBox();
    await page.mouse.move(box.x + box.width * 0.25, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 20, {{ steps: 5 }});
    await page.mouse.up();
    await page.waitForURL((url) => url.searchParams.get('to') !== new URL(given).searchParams.get('to'));
    found.zoomed = Object.fromEntries(new URL(page.url()).searchParams);
    await page.selectOption('#range', 'now-6h now');
    await page.waitForURL(/from=now-6h/);
    await page.goBack();
    found.back = Object.fromEntries(new URL(page.url()).searchParams);
    const entry = page.locator('.panel', {{ has: page.locator('h3:text-is("Latency")') }}).locator('.legend button').first();
    await entry.click();
    found.hidden = await entry.getAttribute('aria-pressed');
    return found;
    """
    found = browse(tmp_path, program, viewed.address(board, "&var-job=shop"))
    assert found["links"][0] == f"/d/sidelight-fleet?{RANGE}&var-job=shop"
    assert found["links"][-1] == "/alerts"
    span = END - START
    assert int(found["zoomed"]["from"]) / 1000 == pytest.approx(START + span * 0.25, abs=span / 50)
    assert int(found["zoomed"]["to"]) / 1000 == pytest.approx(START + span * 0.5, abs=span / 50)
    assert found["back"] == found["zoomed"]
    assert found["hidden"] == "false"


def test_a_snapshot_shows_the_same_numbers_without_a_network(
    viewed: Viewed, drawn: dict[str, Any], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path / "snapshot.html"
    argv = (sys.executable, "-c", "from sidelight.cli import main; main()", "view", "--config", viewed.settings)
    what = ("--snapshot", file, "--from", f"{START}000", "--to", f"{END}000")
    written = (*argv, "--prometheus", str(viewed.prometheus.base_url), *what)
    with processes.start(written, log=tmp_path / "log") as process:
        assert process.wait(60) == 0, process.tail()
    program = f"""{OPEN}{READ}
    const found = {{ boards: {{}}, asked: [] }};
    for (const uid of given.uids) {{
      const page = await opened(`file://${{given.file}}#/d/${{uid}}`);
      await page.context().setOffline(true);
      found.boards[uid] = await read(page);
      found.source = await page.textContent('.source');
    }}
    const page = await open(`file://${{given.file}}`);
    page.on('request', (request) => found.asked.push(request.url()));
    await page.locator('header nav a', {{ hasText: 'Services' }}).click();
    await page.waitForSelector('table');
    found.services = await page.innerText('main');
    await page.locator('header nav a', {{ hasText: 'Operations' }}).click();
    await page.waitForSelector('.panel[data-state="ready"]');
    found.controls = await page.locator('.controls select:enabled, .controls button').count();
    return found;
    """
    given = {"file": str(file), "uids": list(drawn)}
    found = browse(tmp_path_factory.mktemp("browser"), program, given)
    own = {number for board in viewed.boards for number, panel in board.panels.items() if panel.get("timeFrom")}
    for uid, panels in drawn.items():
        kept = [panel for panel in found["boards"][uid] if panel["id"] not in own]
        assert kept == [panel for panel in panels if panel["id"] not in own]
    assert found["asked"] == []
    assert found["source"].startswith("Snapshot of ")
    assert "1 service exports target_info" in found["services"] or "0 services" in found["services"]
    assert found["controls"] == 0
