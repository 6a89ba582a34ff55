#!/bin/sh
# Creates or updates an environment in the folder $1: for development, or with $2 = demo, docs or release only for these. Needs Python 3.11 or newer, but neither root nor a
# compiler. If Python has no ensurepip or no headers (Debian without python3-venv, python3-dev), apt-get is needed too.
set -eu

venv=$1
python=${PYTHON:-python3}
here=$(dirname "$0")
constraints=$here/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

scratch=
trap 'rm -rf "$scratch"' EXIT

# Unpacks Debian's package $1 into $scratch/root and installs nothing. If that fails, prints the advice $2.
from_debian() {
    [ -n "$scratch" ] || scratch=$(mktemp -d)
    mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
    (
        cd "$scratch"
        for command in update "download $1"; do
            # shellcheck disable=SC2086  # the command's words
            apt-get -qq -o Dir::State="$scratch" -o Dir::State::status=/dev/null -o Dir::Cache="$scratch/cache" \
                -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::Languages=none \
                -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false $command </dev/null >log 2>&1 \
                || { say "apt-get $command failed"; cat log >&2; }
        done
        dpkg-deb -x "$1"_*.deb root
    ) || fail "$2, or give another Python with PYTHON=..."
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || fail "$python is not Python 3.11 or newer; give one with PYTHON=..."

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    say "a new environment in $venv"
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv --clear "$venv"
    else
        say "this Python has no ensurepip; pip comes from Debian's python3-pip-whl"
        "$python" -m venv --clear --without-pip "$venv"
        from_debian python3-pip-whl "no pip: install python3-venv"
        PYTHONPATH=$(echo "$scratch"/root/usr/share/python-wheels/pip-*.whl) "$venv/bin/python" -m pip install --quiet --constraint "$constraints" pip
    fi
fi

case ${2:-} in
docs | release)
    say "pinned packages of requirements/$2.txt"
    exec "$venv/bin/python" -m pip install --quiet --constraint "$constraints" --requirement "$here/$2.txt"
    ;;
esac

if [ "${2:-}" = demo ]; then
    say "pinned packages of the demo"
    "$venv/bin/python" -m pip install --quiet --constraint "$constraints" hatchling
    exec "$venv/bin/python" -m pip install --quiet --constraint "$constraints" --no-build-isolation \
        --editable "$here/.." --editable "$here/../stack[demo]"
fi

say "pinned packages"
"$venv/bin/python" -m pip install --quiet --constraint "$constraints" --requirement "$here/dev.txt" --requirement "$here/bench.txt"
"$venv/bin/python" -m pip install --quiet --constraint "$constraints" --no-build-isolation \
    --editable "$here/..[tracing-grpc,patterns]" --editable "$here/../stack[demo]"

say "the compiled request path"
headers=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
if [ ! -f "$headers/Python.h" ] && [ ! -f "$venv/include/Python.h" ]; then
    version=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_python_version())')
    say "this Python has no headers; they come from Debian's libpython$version-dev"
    from_debian "libpython$version-dev" "no Python.h: install python3-dev"
    cp -R "$scratch/root/usr/include/python$version/." "$scratch"/root/usr/include/*-linux-gnu* "$venv/include"
fi
sh "$here/compiler.sh" "$venv" "$venv/bin/python" -m pip install --quiet --constraint "$constraints" --no-build-isolation \
    "$here/../speedups"
