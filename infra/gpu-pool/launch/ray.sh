#!/usr/bin/env bash
# The same over a Ray cluster that this script makes: every node joins, node 0 starts the engine's processes on all of them and answers requests.
#   NODE=0 HEAD=10.0.0.1 ray.sh /models/SpikingBrain-76B-A12B --gpus 8x80GB --nodes 2 --tensor 4 --data 4 --expert-parallel
# EDGE, NODE_FILE and ADDRESS as for native.sh. Ray is not in the lock, since native.sh needs none: `pip install "ray[default]"` in the replica's environment. NODES_WAIT: seconds for the
# other nodes to join (60).
set -euo pipefail
: "${NODE:?must be the number of this node, from 0}" "${HEAD:?must be the address of node 0}"
export VLLM_PLUGINS=spikingbrain VLLM_USE_V2_MODEL_RUNNER=0 HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1
if [ "$NODE" != 0 ]; then
  exec ray start --address "$HEAD:6379" --block
fi
edge=""
if [ -n "${EDGE:-}" ]; then
  : "${NODE_FILE:?must be the file with the credential of the node, where EDGE is given}"
  : "${ADDRESS:?must be the address at which the edge reaches this replica, where EDGE is given}"
  edge=$(printf -- '--edge %q --node-file %q --address %q ' "$EDGE" "$NODE_FILE" "$ADDRESS")
fi
command=$(python -m spikingbrain_vllm plan "$@" --json | python -c 'import json, sys; print(json.load(sys.stdin)["commands"][0])')
# No dashboard: it would be a door without a lock.
ray start --head --node-ip-address "$HEAD" --port 6379 --include-dashboard=false
sleep "${NODES_WAIT:-60}"
# Where the options of `serve` end; the other nodes have none.
command=${command/ -- / "$edge"-- }
eval "exec $command --data-parallel-backend ray"
