"""Notices that a folder on the path hides one of our packages, before an import fails with a traceback."""

from __future__ import annotations

from importlib.util import find_spec

MODULES = ("instrumentation.catalog", "alerts.model", "collector.manifest", "dashboards.pages")
"""One module of each of our packages that a package of the same name would hardly have."""


def hidden_packages() -> str:
    """Say in one sentence which of our packages are hidden by others; empty if none is."""
    sentences = []
    for module in MODULES:
        package = module.partition(".")[0]
        spec = find_spec(package)
        try:
            is_ours = find_spec(module) is not None
        except ModuleNotFoundError:
            is_ours = False
        if not is_ours:
            where = next(iter(spec.submodule_search_locations or ()), spec.origin) if spec else None
            problem = f"{where} hides Sidelight's package of the same name" if where else "is not installed"
            sentences.append(f"{package}: {problem}.")
    if sentences:
        sentences.append("Start the command where no such folder is on PYTHONPATH, or rename the folder.")
    return " ".join(sentences)
