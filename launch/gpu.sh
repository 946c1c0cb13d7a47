#!/usr/bin/env bash
# One host with one or more NVIDIA GPUs: makes the environment, then runs i2vjax on all of them.
#
#   bash launch/gpu.sh [--dry-run] --config configs/cptrans.py --workdir runs/cptrans
#
# The batch is shared by the GPUs: data.batch must be a multiple of their number.
# CUDA_VISIBLE_DEVICES chooses among them.
set -euo pipefail
cd "$(dirname "$0")/.."
run=()
if [ "${1:-}" = --dry-run ]; then
  run=(echo)
  shift
else
  source launch/setup.sh cuda
fi
if [ $# -eq 0 ]; then
  set -- --config configs/cptrans.py
fi
"${run[@]}" python -m i2vjax.main "$@"
