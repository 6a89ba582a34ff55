"""Photographs the page of ``sidelight view`` in a real browser."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

from tests.support.pictures.browser import browse


class Shot(NamedTuple):
    """One photograph.

    Attributes:
        name: The file, without ``.png``.
        address: The page; relative to the dashboard's.
        width: Of the screen, in pixels.
        height: Of the screen, in pixels.
        theme: ``light`` or ``dark``.
    """

    name: str
    address: str
    width: int
    height: int
    theme: str


SHOTS = (
    Shot("page-operations", "", 1280, 1130, "light"),
    Shot("page-operations-dark", "", 1280, 1130, "dark"),
    Shot("page-alerts", "/alerts", 1280, 620, "light"),
    Shot("page-phone", "", 400, 860, "dark"),
)
_PROGRAM = """
for (const { name, address, width, height, theme } of given.shots) {
  const page = await open(address, { width, height, colorScheme: theme });
  await page.waitForFunction(() => {
    const seen = [...document.querySelectorAll('.panel')].filter((panel) => panel.checkVisibility() && panel.getBoundingClientRect().top < innerHeight);
    return document.querySelector('.alert') || (seen.length && seen.every((panel) => ['ready', 'empty'].includes(panel.dataset.state)));
  });
  await page.screenshot({ path: `${given.folder}/${name}.png` });
  await page.context().close();
}
"""


def photograph(dashboard: str, folder: Path) -> None:
    """Write the photographs as PNG files.

    Args:
        dashboard: The address of a dashboard.
        folder: The folder to write to.

    Raises:
        MeasurementError: The browser fails, or a page reports an error.
    """
    shots = [{**shot._asdict(), "address": urljoin(dashboard, shot.address)} for shot in SHOTS]
    with tempfile.TemporaryDirectory() as name:
        browse(Path(name), _PROGRAM, {"shots": shots, "folder": str(folder.absolute())})
