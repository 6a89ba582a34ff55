"""The verbs of the ``sidelight`` command, one module each: options in, calls out, no logic."""
