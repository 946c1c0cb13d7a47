#!/usr/bin/env bash
# Many GPU hosts under Slurm: one process a host, which drives all its GPUs.
#
#   bash launch/slurm.sh [--dry-run] [--nodes 2] [--gpus 8] [--cpus 8] [--hours 24] \
#     [--partition NAME] -- \
#     --config configs/cptrans.py --config.data.batch=16 --workdir /shared/runs/cptrans
#
# --cpus: cores for each GPU, which read its frames. --nodes and --gpus (of a node): how many.
# The checkout, the environment and the run folder must lie on a file system that all hosts see.
# Slurm sends SIGTERM two minutes before the time is up: the run saves itself and the job queues
# itself again, to go on where it stood. A host where not all its GPUs are found stops the job; the
# first line of a run says how many devices it has.
set -euo pipefail
cd "$(dirname "$0")/.."
dry=0 nodes=2 gpus=8 cpus=8 hours=24 partition=
while [ $# -gt 0 ]; do
  case $1 in
    --nodes|--gpus|--cpus|--hours|--partition)
      if [ -z "${2:-}" ] || [[ $2 == -* ]]; then
        echo "$1 needs a value, as in $1 2" >&2
        exit 2
      fi ;;&
    --dry-run) dry=1; shift ;;
    --nodes) nodes=$2; shift 2 ;;
    --gpus) gpus=$2; shift 2 ;;
    --cpus) cpus=$2; shift 2 ;;
    --hours) hours=$2; shift 2 ;;
    --partition) partition=$2; shift 2 ;;
    --) shift; break ;;
    *) echo "unknown option $1 (arguments for i2vjax come after --)" >&2; exit 2 ;;
  esac
done
if [ $# -eq 0 ]; then
  echo "nothing to run: add -- --config configs/cptrans.py --workdir RUN" >&2
  exit 2
fi
quiet=--show=false   # a log has no use for bars, unless they are asked for
case " $* " in *" --show"*|*" --noshow"*) quiet= ;; esac
job=$(cat <<JOB
#!/usr/bin/env bash
#SBATCH --job-name=i2vjax
#SBATCH --nodes=$nodes
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=$gpus
#SBATCH --cpus-per-task=$((gpus * cpus))
#SBATCH --time=$hours:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --output=slurm-%j.log
${partition:+#SBATCH --partition=$partition}
set -euo pipefail
cd $(printf %q "$PWD")
source launch/enter.sh cuda
export I2VJAX_LOCAL_DEVICES=$gpus
srun --cpus-per-task=$((gpus * cpus)) python -m i2vjax.main ${quiet:+$quiet }$(printf '%q ' "$@") | tee -a slurm-\$SLURM_JOB_ID.out
if grep -q '^stopped at step' slurm-\$SLURM_JOB_ID.out; then
  : > slurm-\$SLURM_JOB_ID.out
  scontrol requeue \$SLURM_JOB_ID
fi
JOB
)
if [ "$dry" = 1 ]; then
  printf '%s\n' "$job"
else
  printf '%s\n' "$job" | sbatch
fi
