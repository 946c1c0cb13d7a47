#!/usr/bin/env bash
# A TPU pod slice on Google Cloud: the same command on every host of it.
#
#   bash launch/tpu_pod.sh [--dry-run] --name my-pod --zone us-central2-b -- \
#     --config configs/cptrans.py --config.data.batch=32 --workdir /mnt/shared/runs/cptrans
#
# Needs the gcloud program, logged in, and a TPU VM that is up. Sends the last commit of this checkout
# to every host and unpacks it over the folder i2vjax there: what is not committed stays here.
set -euo pipefail
cd "$(dirname "$0")/.."
dry=0 name= zone=
while [ $# -gt 0 ]; do
  case $1 in
    --name|--zone)
      if [ -z "${2:-}" ] || [[ $2 == -* ]]; then
        echo "$1 needs a value" >&2
        exit 2
      fi ;;&
  esac
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
run() {
  if [ "$dry" = 1 ]; then
    printf '%s\n' "$(printf '%q ' "$@")"
  else
    "$@"
  fi
}
if [ -n "$(git status --porcelain)" ]; then
  echo "note: changes that are not committed are not sent" >&2
fi
archive=$(mktemp -d)/i2vjax.tar.gz
trap 'rm -rf "$(dirname "$archive")"' EXIT
run git archive --format tar.gz --output "$archive" HEAD
pod=(gcloud compute tpus tpu-vm)
inside="mkdir -p i2vjax && tar -xzf i2vjax.tar.gz -C i2vjax && cd i2vjax && \
source launch/enter.sh tpu && I2VJAX_TPU_POD=1 python -m i2vjax.main $(printf '%q ' "$@")"
run "${pod[@]}" scp --zone "$zone" --worker all "$archive" "$name:i2vjax.tar.gz"
run "${pod[@]}" ssh "$name" --zone "$zone" --worker all --command "$inside"
