"""``make compat``: the tests of other projects with Sidelight in every app, and real applications that are instrumented.

It downloads source distributions and packages from PyPI, so only its fast part is a test; see docs/reference/compatibility.md.
"""
