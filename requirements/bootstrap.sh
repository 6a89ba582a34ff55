#!/bin/sh
# Makes or updates the development environment in the folder $1. Needs Python 3.11 or newer and, where Python comes
# without ensurepip (Debian without python3-venv), apt-get; never root.
set -eu

venv=$1
python=${PYTHON:-python3}
here=$(dirname "$0")
constraints=$here/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

# Puts a file with pip in it, which Python can run, into $pip; leaves nothing on the machine.
pip_from_debian() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
    (
        cd "$scratch"
        for command in update "download python3-pip-whl"; do
            # shellcheck disable=SC2086  # the command's words
            apt-get -qq -o Dir::State="$scratch" -o Dir::State::status=/dev/null -o Dir::Cache="$scratch/cache" \
                -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::Languages=none \
                -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false $command </dev/null >log 2>&1 \
                || { say "apt-get $command failed"; cat log >&2; }
        done
        dpkg-deb -x python3-pip-whl_*.deb root
    ) || fail "no pip: install python3-venv, or give another Python with PYTHON=..."
    pip=$(echo "$scratch"/root/usr/share/python-wheels/pip-*.whl)
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
        pip_from_debian
        PYTHONPATH=$pip "$venv/bin/python" -m pip install --quiet --constraint "$constraints" pip
    fi
fi

say "pinned packages"
"$venv/bin/python" -m pip install --quiet --constraint "$constraints" --requirement "$here/dev.txt" --requirement "$here/bench.txt"
"$venv/bin/python" -m pip install --quiet --constraint "$constraints" --no-build-isolation \
    --editable "$here/..[tracing]" --editable "$here/../stack[demo]"
