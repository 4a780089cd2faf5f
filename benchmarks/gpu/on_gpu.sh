#!/usr/bin/env bash
# on_gpu.sh [whole|quick|rest]: on the GPU machine, in the repository root, after prepare.sh. Everything lands in $OUT.
set -eu
site=$(mktemp -d)
if compgen -G ".gpu/wheels/*.whl" >/dev/null && [ "${DEVICE:-cuda}" != cpu ]; then
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" .gpu/wheels/*.whl
fi
[ -d .gpu/data ] && export SWEEPER_DATA="${SWEEPER_DATA:-$PWD/.gpu/data}"
export PYTHONPATH="$PWD:$site${PYTHONPATH:+:$PYTHONPATH}"
exec python3 -m benchmarks.gpu.stages "$@"
