#!/bin/sh
# Runs a command with a C compiler: `compiler.sh .venv command ...`. If the machine has none that Python knows, one is
# installed from PyPI into the environment.
set -eu

here=$(dirname "$0")
python=$(cd "$1" && pwd)/bin/python
shift

compiler=${CC:-$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CC"))')}
if ! command -v "${compiler%% *}" >/dev/null; then
    "$python" -m pip install --quiet --constraint "$here/constraints.txt" --requirement "$here/compiler.txt" >&2
    CC="$python -m ziglang cc"
    LDSHARED="$CC -shared" # otherwise it would get the options for the linker of Python's own compiler
    export CC LDSHARED
fi
exec "$@"
