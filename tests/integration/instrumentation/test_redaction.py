"""The patterns of redaction are valid for RE2, which the OpenTelemetry Collector uses for masking."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import yaml

from instrumentation.redaction.patterns import NUMBERS, PATTERNS, TOKENS
from instrumentation.redaction.sensitive_keys import HARMLESS_KEY, SECRET_KEY
from sidelight.toolchain import tool

if TYPE_CHECKING:
    from pathlib import Path


def accepts(regexes: list[str], folder: Path) -> bool:
    relabel = [{"regex": regex, "source_labels": ["job"], "action": "keep"} for regex in regexes]
    config = {"scrape_configs": [{"job_name": "shop", "relabel_configs": relabel}]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    checked = subprocess.run(
        [tool("promtool"), "check", "config", "prometheus.yaml"], cwd=folder, check=False, timeout=60
    )
    return checked.returncode == 0


def test_every_pattern_is_one_of_re2(tmp_path: Path) -> None:
    patterns = [pattern.regex for table in (PATTERNS, NUMBERS, TOKENS) for pattern in table]
    assert accepts([*patterns, SECRET_KEY, HARMLESS_KEY], tmp_path)


def test_a_pattern_that_is_not_is_refused(tmp_path: Path) -> None:
    assert not accepts(["(?=a)"], tmp_path)
    assert not accepts(["a{1001}"], tmp_path)
