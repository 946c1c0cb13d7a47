#!/usr/bin/env bash
# A TPU pod slice on Google Cloud: the same command on every host of it.
#
#   bash launch/tpu_pod.sh [--dry-run] --name my-pod --zone us-central2-b -- \
#     --config configs/cptrans.py --config.data.batch=32 --workdir /mnt/shared/runs/cptrans
#
# Needs the gcloud program, logged in, and a TPU VM that is up. Copies this checkout to every host.
set -euo pipefail
cd "$(dirname "$0")/.."
dry=0 name= zone=
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry=1; shift ;;
    --name) name=$2; shift 2 ;;
    --zone) zone=$2; shift 2 ;;
    --) shift; break ;;
    *) echo "unknown option $1 (arguments for i2vjax come after --)" >&2; exit 2 ;;
  esac
done
if [ -z "$name" ] || [ -z "$zone" ] || [ $# -eq 0 ]; then
  echo "usage: bash launch/tpu_pod.sh --name POD --zone ZONE -- --config CONFIG --workdir RUN" >&2
  exit 2
fi
run=()
if [ "$dry" = 1 ]; then
  run=(echo)
fi
pod=(gcloud compute tpus tpu-vm)
inside="cd i2vjax && source launch/setup.sh tpu && I2VJAX_TPU_POD=1 \
python -m i2vjax.main $(printf '%q ' "$@")"
"${run[@]}" "${pod[@]}" scp --recurse --zone "$zone" --worker all "$PWD" "$name:i2vjax"
"${run[@]}" "${pod[@]}" ssh "$name" --zone "$zone" --worker all --command "$inside"
