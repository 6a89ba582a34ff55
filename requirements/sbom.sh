#!/bin/sh
# Writes a bill of materials (CycloneDX) beside each wheel in the folder $2: what `pip install` of that wheel installs, with versions and licences.
# $1 is an environment with cyclonedx-py.
set -eu

tools=$1
dist=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for name in sidelight sidelight_stack; do
    wheel=$(echo "$dist/$name"-[0-9]*.whl)
    "$tools/bin/python" -m venv --without-pip "$scratch/$name"
    "$tools/bin/python" -m pip --python "$scratch/$name/bin/python" install --quiet --disable-pip-version-check \
        --constraint "$(dirname "$0")/constraints.txt" --find-links "$dist" "$wheel"
    "$tools/bin/cyclonedx-py" environment --output-reproducible --validate --output-file "${wheel%-py3-none-any.whl}.cdx.json" \
        "$scratch/$name/bin/python"
done
