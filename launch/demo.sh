#!/usr/bin/env bash
# From nothing to a translated video on the built-in data: bash launch/demo.sh [RUN FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/enter.sh ""
run=${1:-runs/demo}

python -m i2vjax.main --config configs/cptrans.py:demo --workdir "$run"
python benchmarks/scenes_clip.py --output "$run/held_out"
python -m i2vjax.main translate --workdir "$run" --input "$run/held_out/infrared.mp4" \
  --output "$run/translated.mp4" --overwrite
python -m i2vjax.main translate --workdir "$run" --input "$run/held_out/infrared.mp4" \
  --output "$run/side_by_side.mp4" --side_by_side --overwrite
python -m i2vjax.main evaluate --workdir "$run" --overwrite
echo "look at $run/side_by_side.mp4, $run/samples and $run/report/index.html"
