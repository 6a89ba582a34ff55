"""The settings: one frozen, validated object, read from sidelight.yaml and the environment."""

from __future__ import annotations

from instrumentation.settings.alerting import Ahead, DiskAhead
from instrumentation.settings.duration import Duration
from instrumentation.settings.health import Health
from instrumentation.settings.http import Http
from instrumentation.settings.loading import DEFAULT_FILE, FILE_VARIABLE, load_settings, parse_settings, settings_source
from instrumentation.settings.model import Settings
from instrumentation.settings.receivers import MuteTime, Receiver, Team
from instrumentation.settings.service import Service
from instrumentation.settings.slo import Objectives, ObjectivesOverride
from instrumentation.settings.thresholds import Levels, Override, Thresholds
from instrumentation.settings.tracing import Tracing
from instrumentation.settings.types import Section

__all__ = [
    "DEFAULT_FILE",
    "FILE_VARIABLE",
    "Ahead",
    "DiskAhead",
    "Duration",
    "Health",
    "Http",
    "Levels",
    "MuteTime",
    "Objectives",
    "ObjectivesOverride",
    "Override",
    "Receiver",
    "Section",
    "Service",
    "Settings",
    "Team",
    "Thresholds",
    "Tracing",
    "load_settings",
    "parse_settings",
    "settings_source",
]
