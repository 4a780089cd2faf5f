#!/usr/bin/env bash
# prepare.sh [VERSION]: in the repository root; fills .gpu/ with what a GPU machine without network lacks. It is taken to
# have Python VERSION (3.12 if not given) with torch, numpy, pandas, click and rich; a wheel for each other need comes
# from the package index. Omniglot comes from $SWEEPER_DATA.
set -eu
version=${1:-3.12}
mkdir -p .gpu/wheels .gpu/data
cp -rL "${SWEEPER_DATA:?name the folder of the data sets}/omniglot" .gpu/data/
python3 -m pip download -q --only-binary=:all: --python-version "$version" --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  -d .gpu/wheels pydantic ruamel.yaml pytest pytest-timeout
du -sh .gpu
