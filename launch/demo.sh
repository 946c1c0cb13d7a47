#!/usr/bin/env bash
# From nothing to translated videos on the built-in data: bash launch/demo.sh [RUN FOLDER]
#
# First the weights that come with the package translate a clip they have never seen, then a small
# run of your own is trained, translates the same clip and is scored.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/enter.sh ""
run=${1:-runs/demo}

clip() { python -m i2vjax.main translate --input "$run/held_out/infrared.mp4" --overwrite "$@"; }

python benchmarks/scenes_clip.py --output "$run/held_out"
clip --workdir starter --output "$run/starter.mp4" --side_by_side
echo "look at $run/starter.mp4: what two hours of training at 128 pixels comes to. Now a run of your own:"
python -m i2vjax.main --config configs/best.py:demo --workdir "$run"
# The clip has 128 pixels, and the run has learned 64.
clip --workdir "$run" --output "$run/translated.mp4" --full_size
clip --workdir "$run" --output "$run/side_by_side.mp4" --full_size --side_by_side
python -m i2vjax.main evaluate --workdir "$run" --overwrite
echo "look at $run/side_by_side.mp4, $run/samples and $run/report/index.html"
