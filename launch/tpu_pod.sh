#!/usr/bin/env bash
# A TPU pod slice on Google Cloud: the same command on every host of it.
#
#   bash launch/tpu_pod.sh [--dry-run] --name my-pod --zone us-central2-b -- \
#     --config configs/cptrans.py --config.data.batch=32 --workdir /mnt/shared/runs/cptrans
#   bash launch/tpu_pod.sh --name my-pod --zone us-central2-b --stop     the run saves itself and ends
#
# Needs the gcloud program, logged in, and a TPU VM that is up, with Python 3.11, 3.12 or 3.13 (the
# image with Ubuntu 22.04 has 3.10: take one with Ubuntu 24.04, or name another Python of the hosts
# in I2VJAX_PYTHON). --workdir is a folder that all hosts see: a Filestore share or a bucket that is
# mounted there; gs://... itself is refused.
#
# Sends the last commit of this checkout to every host and unpacks it over the folder i2vjax there:
# what is not committed stays here. The run does not hang on the connection: when that ends it goes
# on, and i2vjax.log in the home folder of each host tells how.
set -euo pipefail
cd "$(dirname "$0")/.."
dry=0 name= zone= stop=0
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
    --stop) stop=1; shift ;;
    --name) name=$2; shift 2 ;;
    --zone) zone=$2; shift 2 ;;
    --) shift; break ;;
    *) echo "unknown option $1 (arguments for i2vjax come after --)" >&2; exit 2 ;;
  esac
done
if [ -z "$name" ] || [ -z "$zone" ] || { [ $# -eq 0 ] && [ "$stop" = 0 ]; }; then
  echo "usage: bash launch/tpu_pod.sh --name POD --zone ZONE -- --config CONFIG --workdir RUN" >&2
  echo "   or: bash launch/tpu_pod.sh --name POD --zone ZONE --stop" >&2
  exit 2
fi
workdir= before=
for argument in "$@"; do
  case $argument in
    --workdir=*|-workdir=*) workdir=${argument#*=} ;;
    *) case $before in --workdir|-workdir) workdir=$argument ;; esac ;;
  esac
  before=$argument
done
case $workdir in
  *://*)
    echo "--workdir $workdir is no folder: mount the bucket on every host (gcsfuse), or a Filestore \
share, and give the folder where it is mounted" >&2
    exit 2 ;;
  /*) ;;
  *)
    if [ "$stop" = 0 ]; then
      echo "--workdir ${workdir:-is missing}: give the whole path, from /, of a folder that all hosts \
see, as in --workdir /mnt/shared/runs/cptrans" >&2
      exit 2
    fi ;;
esac
run() {
  if [ "$dry" = 1 ]; then
    printf '%s\n' "$(printf '%q ' "$@")"
  else
    "$@"
  fi
}
pod=(gcloud compute tpus tpu-vm)
on_every_host() {
  run "${pod[@]}" ssh "$name" --zone "$zone" --worker all --command "$1"
}
# A host's run is known by i2vjax.pid, which outlives it: another program may have its number since.
going='grep -q i2vjax "/proc/$(cat i2vjax.pid 2>/dev/null)/cmdline" 2>/dev/null'
if [ "$stop" = 1 ]; then
  on_every_host "if $going; then kill -TERM \$(cat i2vjax.pid) && \
tail --lines 5 --follow --pid \$(cat i2vjax.pid) i2vjax.log; else echo 'no run is going on here'; fi"
  exit
fi
if [ -n "$(git status --porcelain)" ]; then
  echo "note: changes that are not committed are not sent" >&2
fi
archive=$(mktemp -d)/i2vjax.tar.gz
trap 'rm -rf "$(dirname "$archive")"' EXIT
run git archive --format tar.gz --output "$archive" HEAD
# The log is there before the run is, for tail would not wait for it.
python=${I2VJAX_PYTHON:+export I2VJAX_PYTHON=$(printf %q "$I2VJAX_PYTHON") && }
inside="if $going; then \
echo 'a run is going on here: end it by --stop' >&2; exit 2; fi; \
mkdir -p i2vjax && tar -xzf i2vjax.tar.gz -C i2vjax && cd i2vjax && \
${python}source launch/enter.sh tpu && export I2VJAX_TPU_POD=1 && : > ../i2vjax.log && \
{ nohup python -m i2vjax.main $(printf '%q ' "$@")> ../i2vjax.log 2>&1 < /dev/null & } && \
run=\$! && echo \$run > ../i2vjax.pid && \
tail --lines +1 --follow --pid \$run ../i2vjax.log; wait \$run"
run "${pod[@]}" scp --zone "$zone" --worker all "$archive" "$name:i2vjax.tar.gz"
on_every_host "$inside"
