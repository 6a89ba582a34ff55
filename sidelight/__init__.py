"""The ``sidelight`` command and what only it needs: checks, chart, demo, reference pages and toolchain."""
