# ruff: noqa: INP001  # setuptools runs this file by its path
"""The extension module; what can be said in pyproject.toml stands there, where an extension is still an experiment."""

from setuptools import Extension, setup

setup(
    ext_modules=[Extension("_sidelight_speedups", ["_sidelight_speedups.c", "_rendering.c"], depends=["_rendering.h"])]
)
