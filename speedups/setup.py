# ruff: noqa: INP001  # setuptools runs this file by its path
"""The extension module. Everything else is in pyproject.toml, where extension modules are still experimental."""

from setuptools import Extension, setup

setup(
    ext_modules=[Extension("_sidelight_speedups", ["_sidelight_speedups.c", "_rendering.c"], depends=["_rendering.h"])]
)
