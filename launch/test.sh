#!/usr/bin/env bash
# Sets up an environment from nothing and runs the tests: bash launch/test.sh [PYTEST ARGUMENTS]
#
# I2VJAX_EXTRAS=test,parity adds the comparisons with PyTorch (downloads it; a CPU build will do).
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/enter.sh "${I2VJAX_EXTRAS:-test}"
if [ $# -eq 0 ]; then
  set -- -m 'not slow and not nightly'
fi
exec python -m pytest --numprocesses 2 --dist loadfile "$@"
