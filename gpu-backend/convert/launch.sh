#!/bin/sh
# Starts a conversion on every node of a cluster, once a node: `launch.sh SETTINGS.toml [--stage STAGE ...]`, or `srun launch.sh ...`.
#
# Everything may be said in the environment; without it, SLURM's variables count, and without those there is one node:
#   NODES, NODE_RANK             how many nodes, and which this one is
#   MASTER_ADDR, MASTER_PORT     where processes find one another: the first node
#   PROCESSES_PER_NODE           accelerators that torch finds here, or one
#   RESTARTS                     how often processes that failed start again, at their last checkpoint
#   PYTHON                       an interpreter that has the package
#
# Processes use the accelerators of whatever vendor torch was built for, over the backend that belongs to them; CPUs over gloo. The work
# folder of the settings must be one that all nodes see. Every random choice comes from the settings' seed, whatever the number of processes.
set -eu

python=${PYTHON:-python3}
nodes=${NODES:-${SLURM_JOB_NUM_NODES:-1}}
rank=${NODE_RANK:-${SLURM_NODEID:-0}}
port=${MASTER_PORT:-29500}
if [ -z "${MASTER_ADDR:-}" ]; then
  if [ -n "${SLURM_JOB_NODELIST:-}" ]; then
    MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
  elif [ "$nodes" = 1 ]; then
    MASTER_ADDR=127.0.0.1
  else
    echo "MASTER_ADDR must be given where NODES is $nodes and there is no SLURM" >&2
    exit 1
  fi
fi
processes=${PROCESSES_PER_NODE:-$("$python" -c 'import torch; print(max(1, torch.accelerator.device_count()))')}

exec "$python" -m torch.distributed.run \
  --nnodes "$nodes" --node-rank "$rank" --nproc-per-node "$processes" \
  --master-addr "$MASTER_ADDR" --master-port "$port" --max-restarts "${RESTARTS:-0}" \
  -m spikingbrain convert "$@"
