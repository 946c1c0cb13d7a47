#!/usr/bin/env bash
# Makes a Python environment with i2vjax in it, from nothing; the other scripts run this one.
#
#   bash launch/setup.sh [EXTRAS]      e.g. bash launch/setup.sh test
#
# I2VJAX_VENV names the environment (default: .venv beside README), I2VJAX_PYTHON the interpreter.
# Where an NVIDIA driver is found, the build of JAX that it runs is added to the extras;
# JAX_PLATFORMS=cpu leaves that out.
# Sourced, it would leave its settings in the shell: it then only says how it is run.
(return 0 2>/dev/null) && {
  echo "run it instead: bash launch/setup.sh, then: source .venv/bin/activate" >&2
  return 2
}
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${I2VJAX_VENV:-$root/.venv}
extras=${1:-}

find_python() {
  local candidate
  for candidate in ${I2VJAX_PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
        2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "i2vjax needs Python 3.11, 3.12 or 3.13: install one, or name it in I2VJAX_PYTHON" >&2
  return 1
}

if [ ! -x "$venv/bin/python" ]; then
  python=$(find_python)
  echo "making $venv with $("$python" --version)"
  "$python" -m venv "$venv" || {
    echo "that failed; on Debian and Ubuntu: apt install python3-venv" >&2
    exit 1
  }
fi
extras=$("$venv/bin/python" -P "$root/i2vjax/core/nvidia.py" "$extras")
# The stamp spares a second run the minute that pip needs to find nothing to do.
stamp="$venv/.i2vjax-$extras-$(cat "$root"/{pyproject.toml,setup.py} | cksum | tr ' ' -)"
if [ ! -f "$stamp" ]; then
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --editable "$root${extras:+[$extras]}"
  # The device, and what is wrong: a GPU that JAX does not see ends it here, with the remedy. Not
  # on a pod of TPUs, where JAX waits for the other hosts.
  if [[ ",$extras," != *,tpu,* ]]; then
    "$venv/bin/python" -m i2vjax.main doctor --brief >&2
  fi
  touch "$stamp"
fi
if [ "${I2VJAX_QUIET:-0}" != 1 ]; then
  printf 'ready. In this shell, from now on:\n  source %q/bin/activate\n' "$venv"
fi
