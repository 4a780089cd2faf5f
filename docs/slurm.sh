#!/bin/bash
# Starts Ray on the nodes that SLURM has allotted, runs sweeps on them, and takes Ray down again:
#     sbatch --nodes=4 --cpus-per-task=16 docs/slurm.sh sweeps/quickstart.yaml --device cpu --results /shared/results
# The words after the script are those of `sweeper run`. The same sbatch again goes on where a job was cut off.
# `sweeper run --executor slurm` needs no Ray and no nodes at once: docs/slurm.md.
# docs/cluster.md says what the nodes must have. With GPUs: sbatch --gpus-per-node=N ... --device cuda.
#SBATCH --job-name=sweeper
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --signal=B:TERM@120
set -euo pipefail

port=$((20000 + SLURM_JOB_ID % 10000)) # Ray gives its workers the ports from 10002 to 19999
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
others=$((SLURM_JOB_NUM_NODES - 1))
# A host often calls itself 127.0.1.1, which the other nodes can't reach.
own='for ip in $(hostname --ip-address) $(hostname --all-ip-addresses); do
         case $ip in 127.* | *:*) ;; *) echo "$ip" && exit ;; esac
     done
     echo 127.0.0.1'
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" bash -c "$own"):$port

# Ray listens on every interface of a node that others use too. srun hands the environment on, so the token is in no
# command line.
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0
# Ray's own 15 and 30 s are too short for a busy node, or for Python on a shared disk.
export RAY_agent_register_timeout_ms=300000 RAY_raylet_start_wait_time_s=120
has=(--num-cpus="${SLURM_CPUS_PER_TASK:-1}" --num-gpus="${SLURM_GPUS_ON_NODE:-0}")
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # since Slurm 22.05, srun gives a step one core without it

srun --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --block --port="$port" --include-dashboard=false "${has[@]}" &
daemons=($!)
trap 'kill "${daemons[@]}" 2>/dev/null || true' EXIT

tries=0
until [[ $(ray status --address="$address" 2>/dev/null) == *" node_"* ]]; do # its server answers before its node is there
    tries=$((tries + 1))
    if [ "$tries" -ge 300 ] || ! kill -0 "${daemons[0]}" 2>/dev/null; then
        echo "Ray has not come up at $address; see the lines above" >&2
        exit 4
    fi
    sleep 1
done

if [ "$others" -gt 0 ]; then # they join while the run goes on
    srun --nodes="$others" --ntasks="$others" --exclude="$head" ray start --block --address="$address" "${has[@]}" &
    daemons+=($!)
fi

sweeper run --address "$address" "$@" &
run=$!
trap 'kill -TERM "$run"' TERM # SLURM's warning before the time limit: save and leave
code=0
wait "$run" || code=$?
if kill -0 "$run" 2>/dev/null; then # the signal ended `wait`, not the run
    code=0
    wait "$run" || code=$?
fi
exit "$code"
