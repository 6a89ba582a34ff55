"""Radicale, a server of calendars."""

import os
from pathlib import Path

import radicale

import instrumentation

Path("config").write_text("[auth]\ntype = none\n[storage]\nfilesystem_folder = collections\n")
os.environ["RADICALE_CONFIG"] = "config"  # read at the first request

app = instrumentation.instrument(radicale.application, interface="wsgi")
