"""What a service imports: ``instrument(app)`` and the names around it.

Everything loads on first use, so ``import instrumentation`` reads no file, no environment and no large library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from instrumentation.version import __version__

if TYPE_CHECKING:
    from instrumentation.errors import InstrumentationError, SettingsError, SidelightError
    from instrumentation.http import instrument
    from instrumentation.settings import Settings, load_settings
    from instrumentation.workflows import workflow, workflow_created

_HOME = {
    "InstrumentationError": "errors",
    "Settings": "settings",
    "SettingsError": "errors",
    "SidelightError": "errors",
    "instrument": "http",
    "load_settings": "settings",
    "workflow": "workflows",
    "workflow_created": "workflows",
}

__all__ = [
    "InstrumentationError",
    "Settings",
    "SettingsError",
    "SidelightError",
    "__version__",
    "instrument",
    "load_settings",
    "workflow",
    "workflow_created",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
