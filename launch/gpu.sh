#!/usr/bin/env bash
# One host with one or more NVIDIA GPUs: makes the environment, then runs i2vjax on all of them.
#
#   bash launch/gpu.sh [--dry-run] --config configs/cptrans.py --workdir runs/cptrans
#
# The batch is shared by the GPUs: data.batch must be a multiple of their number.
# CUDA_VISIBLE_DEVICES chooses among them.
set -euo pipefail
cd "$(dirname "$0")/.."
dry=0 arguments=()
for argument in "$@"; do
  if [ "$argument" = --dry-run ]; then
    dry=1
  else
    arguments+=("$argument")
  fi
done
if [ ${#arguments[@]} -eq 0 ]; then
  arguments=(--config configs/cptrans.py)
fi
if [ "$dry" = 1 ]; then
  printf 'python -m i2vjax.main%s\n' "$(printf ' %q' "${arguments[@]}")"
  exit
fi
source launch/enter.sh cuda
python -m i2vjax.main "${arguments[@]}"
